"""Which deliveries exist for whom: a user who is limited to folders knows of no others."""

from sqlalchemy import ColumnElement, select

from webapp.accounts import folders
from webapp.accounts.models import User
from webapp.db import db
from webapp.deliveries.models import Delivery
from webapp.errors import NotFound
from webapp.words import _l


def visible_to(user: User) -> ColumnElement[bool]:
    """Give the condition that keeps, in a query of deliveries, those that exist for this user."""
    return folders.visible(user, column=Delivery.folder_id)


def get_delivery(delivery_id: int, *, by: User, lock: bool = False) -> Delivery:
    """Give a delivery as it is now; with `lock`, nobody else moves or edits it until this transaction ends.

    Raises NotFound if it does not exist for this user.
    """
    query = select(Delivery).where(Delivery.id == delivery_id)
    if lock:
        query = query.with_for_update(of=Delivery, key_share=True).execution_options(populate_existing=True)
    delivery = db.session.scalars(query).unique().one_or_none()
    if delivery is None or not by.sees_folder(delivery.folder_id):
        raise NotFound(_l("This delivery does not exist."))
    return delivery
