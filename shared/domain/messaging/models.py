from sqlalchemy import Index, text

from shared.kit.outbox.models import OutboxMessage

# Most messages are about an order, and are looked up by its id.
Index("ix_outbox_order_id", OutboxMessage.event_id, text("(payload ->> 'order_id')"))
