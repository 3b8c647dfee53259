"""The migrations make exactly the tables that the models describe."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from webapp import models
from webapp.db import db


@pytest.mark.usefixtures("database")
def test_migrations_and_models_agree() -> None:
    """A model that was changed without a migration, or the other way round, shows here."""
    context = MigrationContext.configure(db.session.connection(), opts={"compare_type": True})
    assert compare_metadata(context, models.Model.metadata) == []
