from tests.sent import make_sent

__all__ = ["make_sent"]
