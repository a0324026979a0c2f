from hypothesis import HealthCheck, settings

# No deadlines: the machine that tests may be busy. No database: a failure is told by its example, not kept in a folder.
settings.register_profile("boxoffice", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("boxoffice")
