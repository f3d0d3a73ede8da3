//! Streams bound to the connection they run on, as a libp2p behaviour.
//!
//! `libp2p-stream` picks any connection to a peer, keeps closed ones in its list and drops inbound streams when its
//! queue of one is full. A peer that restarted with the same key has for a while a dead connection and a live one, so
//! here every stream is opened on, and reported with, one connection. Nothing but the hello is even offered before
//! [`Links::allow_all`]: a stranger cannot tell what else this node speaks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll, Waker};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};

/// The protocols between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `/linli/hello/2`. Asked for together with the first edition, which older nodes speak.
    Hello,
    /// `/linli/hello/1`
    HelloOfOld,
    /// `/linli/sync/1`
    Sync,
    /// `/linli/whereabouts/1`
    Whereabouts,
    /// `/linli/probe/1`, which nobody offers: that a peer says so shows that it is there.
    Probe,
}

impl Protocol {
    const fn name(self) -> StreamProtocol {
        match self {
            Self::Hello => StreamProtocol::new("/linli/hello/2"),
            Self::HelloOfOld => StreamProtocol::new("/linli/hello/1"),
            Self::Sync => StreamProtocol::new("/linli/sync/1"),
            Self::Whereabouts => StreamProtocol::new("/linli/whereabouts/1"),
            Self::Probe => StreamProtocol::new("/linli/probe/1"),
        }
    }
}

/// A stream, or why there is none.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The peer opened a stream.
    Accepted(Protocol, Stream),
    /// A stream that we asked for is open.
    Opened(Protocol, Stream),
    /// A stream that we asked for was not to be had. The peer answers that it does not offer the protocol if `offered` is
    /// false; otherwise the connection broke, or nobody answered in time.
    Failed { protocol: Protocol, offered: bool },
}

/// What a connection is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    Open(Protocol),
    AllowAll,
}

/// The behaviour. Reports every stream with its connection.
#[derive(Default)]
pub(crate) struct Links {
    events: VecDeque<(PeerId, ConnectionId, LinkEvent)>,
    commands: VecDeque<(PeerId, ConnectionId, Command)>,
    candidates: VecDeque<Multiaddr>,
    waker: Option<Waker>,
}

impl Links {
    /// Asks for a stream on a connection; answered by [`LinkEvent::Opened`] or [`LinkEvent::Failed`].
    pub(crate) fn open(&mut self, peer: PeerId, connection: ConnectionId, protocol: Protocol) {
        self.command(peer, connection, Command::Open(protocol));
    }

    /// Offers all protocols on a connection whose hello is completed.
    pub(crate) fn allow_all(&mut self, peer: PeerId, connection: ConnectionId) {
        self.command(peer, connection, Command::AllowAll);
    }

    /// Tells the other behaviours where this node may be reachable from outside: what a hole is punched to.
    pub(crate) fn candidate(&mut self, address: Multiaddr) {
        self.candidates.push_back(address);
        self.wake();
    }

    fn command(&mut self, peer: PeerId, connection: ConnectionId, command: Command) {
        self.commands.push_back((peer, connection, command));
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl NetworkBehaviour for Links {
    type ConnectionHandler = Link;
    type ToSwarm = (PeerId, ConnectionId, LinkEvent);

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Link::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Link::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        self.events.push_back((peer, connection, event));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(event));
        }
        if let Some((peer_id, connection, event)) = self.commands.pop_front() {
            return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(connection), event });
        }
        if let Some(address) = self.candidates.pop_front() {
            return Poll::Ready(ToSwarm::NewExternalAddrCandidate(address));
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// One connection.
#[derive(Default)]
pub(crate) struct Link {
    all_allowed: bool,
    to_open: VecDeque<Protocol>,
    events: VecDeque<LinkEvent>,
}

impl ConnectionHandler for Link {
    type FromBehaviour = Command;
    type ToBehaviour = LinkEvent;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Protocol;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        let offered: &[Protocol] = match self.all_allowed {
            true => &[Protocol::Hello, Protocol::HelloOfOld, Protocol::Sync, Protocol::Whereabouts],
            false => &[Protocol::Hello, Protocol::HelloOfOld],
        };
        SubstreamProtocol::new(Offer(offered.to_vec()), ())
    }

    /// The driver closes what has no use; connections are not left to a timer.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Offer, Protocol, LinkEvent>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        if let Some(protocol) = self.to_open.pop_front() {
            let asked = match protocol {
                Protocol::Hello => vec![Protocol::Hello, Protocol::HelloOfOld],
                other => vec![other],
            };
            let protocol = SubstreamProtocol::new(Offer(asked), protocol);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, command: Command) {
        match command {
            Command::Open(protocol) => self.to_open.push_back(protocol),
            Command::AllowAll => self.all_allowed = true,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Offer, (), Protocol>) {
        let event = match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol), ..
            }) => LinkEvent::Accepted(protocol, stream),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, protocol), ..
            }) => LinkEvent::Opened(protocol, stream),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                LinkEvent::Failed { protocol: info, offered: !matches!(error, StreamUpgradeError::NegotiationFailed) }
            }
            _ => return,
        };
        self.events.push_back(event);
    }
}

/// Protocols that are offered or asked for; the stream comes with the one agreed on.
pub(crate) struct Offer(Vec<Protocol>);

/// A protocol with the name that is negotiated.
#[derive(Clone)]
pub(crate) struct Named(Protocol, StreamProtocol);

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.1.as_ref()
    }
}

impl UpgradeInfo for Offer {
    type Info = Named;
    type InfoIter = std::vec::IntoIter<Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().map(|protocol| Named(*protocol, protocol.name())).collect::<Vec<_>>().into_iter()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, named: Named) -> Self::Future {
        ready(Ok((stream, named.0)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Stream, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, named: Named) -> Self::Future {
        ready(Ok((stream, named.0)))
    }
}
