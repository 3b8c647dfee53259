"""The database: one base class, one way to commit, and what happens after a commit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import psycopg
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, DateTime, Identity, MetaData, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.event import listens_for
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Id = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
Big = Annotated[int, mapped_column(BigInteger)]
Small = Annotated[int, mapped_column(SmallInteger)]


class Model(DeclarativeBase):
    """Base of all tables. Times are aware and in UTC; text has no length in the database, forms bound it."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own spelling
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        str: Text,
    }


# Tests bind the session to one connection and roll everything back; a savepoint then stands for each commit.
db = SQLAlchemy(metadata=Model.metadata, session_options={"join_transaction_mode": "create_savepoint"})

_AFTER = "after_commit"


@contextmanager
def transaction() -> Iterator[None]:
    """Commit what the block did, or roll all of it back; the only place that commits.

    Callbacks given to `after_commit` inside the block run once the data is safe, and never if it was rolled back.
    """
    session = db.session()
    if session.info.get("open"):
        raise RuntimeError("A transaction is open already: one request or job is one transaction.")
    session.info["open"] = True
    session.info[_AFTER] = {}
    try:
        yield
        session.commit()
    except BaseException:
        session.rollback()
        session.info[_AFTER] = {}
        raise
    finally:
        session.info["open"] = False
    callbacks = session.info.pop(_AFTER)
    for callback in callbacks.values():
        callback()


def after_commit(callback: Callable[[], None], *, key: object | None = None) -> None:
    """Run `callback` when the open transaction has been committed; callbacks with the same `key` run once."""
    session = db.session()
    if not session.info.get("open"):
        raise RuntimeError("after_commit() needs an open transaction().")
    session.info[_AFTER].setdefault(key if key is not None else object(), callback)


@contextmanager
def limited(seconds: int, problem: Exception) -> Iterator[None]:
    """Stop a query in the block that takes longer than this and raise `problem`; the open transaction goes on."""
    with db.session.begin_nested():
        db.session.execute(text(f"SET LOCAL statement_timeout = '{seconds}s'"))
        try:
            yield
        except OperationalError as error:
            if isinstance(error.orig, psycopg.errors.QueryCanceled):
                raise problem from None
            raise
        db.session.execute(text("SET LOCAL statement_timeout = DEFAULT"))


@listens_for(Session, "after_begin")
def _bound_waiting(session: Session, _transaction: object, connection: Connection) -> None:
    """Who only looks waits for a locked table as long as `session.info["patience"]` says, in milliseconds; who writes waits."""
    if patience := session.info.get("patience"):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(patience)}")


def is_locked(error: Exception) -> bool:
    """Say whether a query has ended because somebody else held what it wanted for too long."""
    return isinstance(getattr(error, "orig", None), psycopg.errors.LockNotAvailable)


#: A machine that is lost without a word must not hold its locks for hours: PostgreSQL asks after it (only over TCP).
_LOST = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 60000"
_idle_limit = [0]


def limit_idle(seconds: int) -> None:
    """Have PostgreSQL end a transaction of this process in which nothing happens for so long, and with it what it locks.

    For processes whose transactions others wait for: one that is frozen in the middle of one would hold up all of them.
    """
    _idle_limit[:] = [seconds]


@listens_for(Engine, "connect")
def _set_up(connection: Any, _record: object) -> None:
    connection.autocommit = True
    connection.execute(f"{_LOST}; SET idle_in_transaction_session_timeout = '{_idle_limit[0]}s'")
    connection.autocommit = False


def driver() -> psycopg.Connection[Any]:
    """Return the session's own psycopg connection (same transaction), for COPY and server-side cursors."""
    connection = db.session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("The database driver is not psycopg 3.")
    return connection
