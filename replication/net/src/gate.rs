//! Holds a libp2p protocol back until the hello on its connection is completed.
//!
//! Behaviours of libp2p offer their protocols to whoever connects. Behind a gate they say nothing and offer nothing on a
//! connection until [`Gated::open`]: a stranger cannot even tell that the protocol is spoken here, let alone use it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::future::{Either, Pending, pending};
use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound, InboundUpgradeSend,
    ListenUpgradeError, UpgradeInfoSend,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};

use crate::limits;

/// A behaviour behind the gate.
pub(crate) struct Gated<B> {
    inner: B,
    opened: VecDeque<(PeerId, ConnectionId)>,
    waker: Option<Waker>,
}

impl<B: NetworkBehaviour> Gated<B> {
    /// Closed for every connection.
    pub(crate) fn new(inner: B) -> Self {
        Self { inner, opened: VecDeque::new(), waker: None }
    }

    /// Opens the gate on one connection, for good.
    pub(crate) fn open(&mut self, peer: PeerId, connection: ConnectionId) {
        self.opened.push_back((peer, connection));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Gated<B> {
    type ConnectionHandler = GatedHandler<THandler<B>>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote).map(GatedHandler::new)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port).map(GatedHandler::new)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some((peer_id, connection)) = self.opened.pop_front() {
            let handler = NotifyHandler::One(connection);
            return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event: GateIn::Open });
        }
        self.waker = Some(cx.waker().clone());
        self.inner.poll(cx).map(|to_swarm| to_swarm.map_in(GateIn::Inner))
    }
}

/// What a gated connection is told.
#[derive(Debug)]
pub(crate) enum GateIn<E> {
    Open,
    Inner(E),
}

/// One connection of a behaviour behind the gate.
pub(crate) struct GatedHandler<H> {
    inner: H,
    gate: Gate,
}

enum Gate {
    /// Whoever polled while it was shut.
    Shut(Option<Waker>),
    /// The protocol is offered; own streams wait a moment, for the other side completes the same hello a little later.
    Opening(Pin<Box<tokio::time::Sleep>>),
    Open,
}

impl<H> GatedHandler<H> {
    fn new(inner: H) -> Self {
        Self { inner, gate: Gate::Shut(None) }
    }

    fn is_shut(&self) -> bool {
        matches!(self.gate, Gate::Shut(_))
    }
}

impl<H: ConnectionHandler> ConnectionHandler for GatedHandler<H> {
    type FromBehaviour = GateIn<H::FromBehaviour>;
    type ToBehaviour = H::ToBehaviour;
    type InboundProtocol = Offered<H::InboundProtocol>;
    type OutboundProtocol = H::OutboundProtocol;
    type InboundOpenInfo = H::InboundOpenInfo;
    type OutboundOpenInfo = H::OutboundOpenInfo;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        let protocol = self.inner.listen_protocol();
        let timeout = *protocol.timeout();
        let (upgrade, info) = protocol.into_upgrade();
        SubstreamProtocol::new(Offered(Some(upgrade).filter(|_| !self.is_shut())), info).with_timeout(timeout)
    }

    fn connection_keep_alive(&self) -> bool {
        !self.is_shut() && self.inner.connection_keep_alive()
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        match &mut self.gate {
            Gate::Shut(waker) => {
                *waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Gate::Opening(wait) => {
                if wait.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.gate = Gate::Open;
            }
            Gate::Open => {}
        }
        self.inner.poll(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::ToBehaviour>> {
        self.inner.poll_close(cx)
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {
            GateIn::Inner(event) => self.inner.on_behaviour_event(event),
            GateIn::Open => {
                if let Gate::Shut(waker) = &mut self.gate {
                    waker.take().iter().for_each(Waker::wake_by_ref);
                    self.gate = Gate::Opening(Box::pin(tokio::time::sleep(limits::GATE_WAIT)));
                }
            }
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        let event = match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, info }) => {
                ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, info })
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info })
            }
            ConnectionEvent::AddressChange(change) => ConnectionEvent::AddressChange(change),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error })
            }
            ConnectionEvent::ListenUpgradeError(ListenUpgradeError { info, error }) => {
                ConnectionEvent::ListenUpgradeError(ListenUpgradeError { info, error })
            }
            ConnectionEvent::LocalProtocolsChange(change) => ConnectionEvent::LocalProtocolsChange(change),
            ConnectionEvent::RemoteProtocolsChange(change) => ConnectionEvent::RemoteProtocolsChange(change),
            // Kinds of events that this version of libp2p does not have.
            _ => return,
        };
        self.inner.on_connection_event(event);
    }
}

/// A protocol that is offered, or nothing.
pub(crate) struct Offered<U>(Option<U>);

impl<U: UpgradeInfoSend> UpgradeInfo for Offered<U> {
    type Info = U::Info;
    type InfoIter = std::iter::Flatten<std::option::IntoIter<U::InfoIter>>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.as_ref().map(U::protocol_info).into_iter().flatten()
    }
}

impl<U: InboundUpgradeSend> InboundUpgrade<Stream> for Offered<U> {
    type Output = U::Output;
    type Error = U::Error;
    type Future = Either<U::Future, Pending<Result<U::Output, U::Error>>>;

    fn upgrade_inbound(self, stream: Stream, info: Self::Info) -> Self::Future {
        match self.0 {
            Some(upgrade) => Either::Left(upgrade.upgrade_inbound(stream, info)),
            // Where nothing is offered, nothing is agreed on.
            None => Either::Right(pending()),
        }
    }
}
