"""`python -m infra.local.migrations`: run all migrations up, compare with the models, run down, up (DATABASE_URL).

One process runs all four steps, because importing Alembic and the models takes longer than most of them.
"""

from alembic.config import main

ROUND = (("upgrade", "head"), ("check",), ("downgrade", "base"), ("upgrade", "head"))

if __name__ == "__main__":
    for arguments in ROUND:
        print(f"alembic {' '.join(arguments)}", flush=True)
        main(argv=list(arguments), prog="alembic")
