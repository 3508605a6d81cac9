"""What Alembic runs: everything it needs comes with the connection (see ``pipechaos.store.upgrade``)."""

from __future__ import annotations

from alembic import context

from pipechaos.store.tables import metadata
from pipechaos.store.upgrade import OPTIONS

if __name__ == "env_py":  # as Alembic loads it; a plain import has no context
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, **OPTIONS)
    context.run_migrations()
