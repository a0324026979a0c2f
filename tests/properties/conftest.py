from hypothesis import HealthCheck, settings

# No deadlines, because the machine may be busy. No database: a failure prints its example, and no folder keeps it.
settings.register_profile("boxoffice", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("boxoffice")
