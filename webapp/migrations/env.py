"""Alembic's entry: migrates the app's own database, one transaction for each migration."""

import re
from typing import Any

from alembic import context
from flask import current_app

from webapp import models  # noqa: F401 - all tables are known
from webapp.db import Model

PARTITION = re.compile(r"^((message|exclusion)_\d+|import_staging_\d+_\d+)$")


#: Indexes that are made while the product runs: see webapp/audience/search_indexes.
SEARCHED = re.compile(r"^ix_contact_attribute_\d+$")


def include_object(_object: Any, name: str | None, type_: str, reflected: bool, _compare_to: Any) -> bool:
    """Leave out what is not of the models: partitions, staging tables, indexes of searchable attributes."""
    made = {"table": PARTITION, "index": SEARCHED}.get(type_)
    return not (made and reflected and name is not None and made.match(name))


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
