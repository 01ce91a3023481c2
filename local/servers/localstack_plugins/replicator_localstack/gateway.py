"""LocalStack's own server, bound to the addresses that GATEWAY_LISTEN names.

The server of LocalStack 4 itself opens its port on every interface, whatever host is given.
"""

from localstack.config import HostAndPort
from localstack.runtime.server.core import RuntimeServerPlugin
from localstack.runtime.server.twisted import TwistedRuntimeServer
from rolo.gateway import Gateway
from rolo.serving.twisted import TwistedGateway
from twisted.internet import endpoints, reactor


class LoopbackServer(TwistedRuntimeServer):
    """Plain HTTP on the given interfaces only."""

    def register(
        self, gateway: Gateway, listen: list[HostAndPort], ssl_creds: tuple[str, str] | None = None
    ) -> None:
        """Open the ports. The certificate is not used: there is no TLS here."""
        del ssl_creds
        for address in listen:
            endpoint = endpoints.TCP4ServerEndpoint(reactor, address.port, interface=address.host)
            endpoint.listen(TwistedGateway(gateway))


class LoopbackServerPlugin(RuntimeServerPlugin):
    """GATEWAY_SERVER=loopback."""

    name = "loopback"

    def load(self, *_: object, **__: object) -> LoopbackServer:
        return LoopbackServer()
