"""Alembic's entry: migrates the app's own database, one transaction for each migration."""

import re
from typing import Any

from alembic import context
from flask import current_app

from webapp import models  # noqa: F401 - all tables are known
from webapp.db import Model

PARTITION = re.compile(r"^((message|exclusion)_\d+|import_staging_\d+_\d+)$")


def include_object(_object: Any, name: str | None, type_: str, reflected: bool, _compare_to: Any) -> bool:
    return not (type_ == "table" and reflected and name is not None and PARTITION.match(name))


def run() -> None:
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Model.metadata,
            include_object=include_object,
            transaction_per_migration=True,
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
