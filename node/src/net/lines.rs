//! Lines: on each connection one stream in each direction that stays open, with one thing said after another. A message
//! costs its bytes and one packet: there is no stream to open for it, and nobody acknowledges it but the kernel.
//!
//! A line is opened when something is to be said, and again after it broke. What was on a line that broke is lost, as
//! messages may be. A peer that does not speak lines gives everything back; it is asked by exchanges instead. Who does not
//! take what is written loses its line, and so whoever is slow holds a few messages and nothing else.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{AsyncWriteExt, FutureExt};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::codec::{Room, Said};
use super::limits::{CONTROL_MESSAGE, FIRST_RESERVE, MESSAGE_TIMEOUT};

/// The protocol of lines.
pub(super) const LINE_PROTOCOL: StreamProtocol = StreamProtocol::new("/althing/line/1");

/// What happened on a line.
#[derive(Debug)]
pub(super) struct LineEvent {
    pub(super) peer: PeerId,
    pub(super) connection: ConnectionId,
    pub(super) what: Happened,
}

/// The news of a handler.
#[derive(Debug)]
pub(super) enum Happened {
    /// The peer said this.
    Heard(Said),
    /// So many left of what was to be said.
    Left(usize),
    /// So many are lost: the line broke.
    Broke(usize, io::Error),
    /// The peer does not speak lines; this was not said.
    Unsupported(Vec<Said>),
    /// The peer opened its line.
    Opened,
    /// The peer's line ended, or what came on it was nothing or did not come to its end.
    Ended(io::Error),
}

/// The lines of all connections.
pub(super) struct Lines {
    room: Room,
    pending: VecDeque<ToSwarm<LineEvent, Said>>,
}

impl Lines {
    /// No lines yet; what is being read shares `room`.
    pub(super) fn new(room: Room) -> Self {
        Self { room, pending: VecDeque::new() }
    }

    /// Says something on a connection. It is the caller's to keep count of what has not left.
    pub(super) fn say(&mut self, peer: PeerId, connection: ConnectionId, said: Said) {
        let handler = NotifyHandler::One(connection);
        self.pending.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: said });
    }

    fn handler(&self) -> Line {
        Line {
            room: self.room.clone(),
            waiting: VecDeque::new(),
            speaking: Speaking::Closed,
            hearing: None,
            happened: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Lines {
    type ConnectionHandler = Line;
    type ToSwarm = LineEvent;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(closed) = event {
            let is_of_it = |pending: &ToSwarm<LineEvent, Said>| {
                matches!(pending, ToSwarm::NotifyHandler { handler: NotifyHandler::One(connection), .. }
                    if *connection == closed.connection_id)
            };
            self.pending.retain(|pending| !is_of_it(pending));
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        what: THandlerOutEvent<Self>,
    ) {
        self.pending.push_back(ToSwarm::GenerateEvent(LineEvent { peer, connection, what }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Whoever pushes polls afterwards.
        self.pending.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Our line.
enum Speaking {
    /// It is opened when there is something to say.
    Closed,
    Opening,
    Idle(Stream),
    /// So many are on their way.
    Busy(usize, BoxFuture<'static, io::Result<Stream>>),
}

/// Both lines of one connection.
pub(super) struct Line {
    room: Room,
    waiting: VecDeque<Said>,
    speaking: Speaking,
    hearing: Option<BoxFuture<'static, io::Result<(Said, Stream)>>>,
    happened: VecDeque<Happened>,
}

impl Line {
    fn hear(&mut self, stream: Stream) {
        let room = self.room.clone();
        self.hearing = Some(
            async move {
                let mut stream = stream;
                let said = Said::read(&mut stream, CONTROL_MESSAGE, &room).await?;
                Ok((said, stream))
            }
            .boxed(),
        );
    }

    /// As much of what waits as one packet or one large message has.
    fn next_batch(&mut self) -> Option<(usize, Vec<u8>)> {
        let (mut count, mut bytes) = (0, Vec::new());
        while bytes.len() < FIRST_RESERVE
            && let Some(said) = self.waiting.pop_front()
        {
            count += 1;
            bytes.extend(said.encode());
        }
        (count > 0).then_some((count, bytes))
    }

    /// Whether the handler must ask for a stream.
    fn speak(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match std::mem::replace(&mut self.speaking, Speaking::Closed) {
                Speaking::Closed if self.waiting.is_empty() => return false,
                Speaking::Closed => {
                    self.speaking = Speaking::Opening;
                    return true;
                }
                Speaking::Opening => {
                    self.speaking = Speaking::Opening;
                    return false;
                }
                Speaking::Idle(mut stream) => {
                    let Some((count, bytes)) = self.next_batch() else {
                        self.speaking = Speaking::Idle(stream);
                        return false;
                    };
                    let write = async move {
                        stream.write_all(&bytes).await?;
                        stream.flush().await?;
                        Ok(stream)
                    };
                    let write = tokio::time::timeout(MESSAGE_TIMEOUT, write);
                    let write =
                        write.map(|written| written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
                    self.speaking = Speaking::Busy(count, write.boxed());
                }
                Speaking::Busy(count, mut write) => match write.poll_unpin(cx) {
                    Poll::Pending => {
                        self.speaking = Speaking::Busy(count, write);
                        return false;
                    }
                    Poll::Ready(Ok(stream)) => {
                        self.happened.push_back(Happened::Left(count));
                        self.speaking = Speaking::Idle(stream);
                    }
                    Poll::Ready(Err(error)) => self.happened.push_back(Happened::Broke(count, error)),
                },
            }
        }
    }

    fn listen(&mut self, cx: &mut Context<'_>) {
        // One a turn, so that whoever speaks fast waits for whoever listens.
        let Some(hearing) = &mut self.hearing else { return };
        match hearing.poll_unpin(cx) {
            Poll::Pending => {}
            Poll::Ready(Ok((said, stream))) => {
                self.hear(stream);
                self.happened.push_back(Happened::Heard(said));
            }
            Poll::Ready(Err(error)) => {
                self.hearing = None;
                self.happened.push_back(Happened::Ended(error));
            }
        }
    }
}

impl ConnectionHandler for Line {
    type FromBehaviour = Said;
    type ToBehaviour = Happened;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(LINE_PROTOCOL), ())
    }

    fn on_behaviour_event(&mut self, said: Said) {
        self.waiting.push_back(said);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if self.happened.is_empty() {
            self.listen(cx);
        }
        if self.speak(cx) {
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(LINE_PROTOCOL), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        let happened = self.happened.pop_front();
        happened.map_or(Poll::Pending, |what| Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(what)))
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            // The newest counts: whoever opens another one has given up the one before.
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: stream, .. }) => {
                self.hear(stream);
                self.happened.push_back(Happened::Opened);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream, ..
            }) => {
                self.speaking = Speaking::Idle(stream);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => {
                self.speaking = Speaking::Closed;
                let unsaid: Vec<Said> = self.waiting.drain(..).collect();
                self.happened.push_back(match error {
                    StreamUpgradeError::NegotiationFailed => Happened::Unsupported(unsaid),
                    StreamUpgradeError::Timeout => {
                        Happened::Broke(unsaid.len(), io::ErrorKind::TimedOut.into())
                    }
                    StreamUpgradeError::Io(error) => Happened::Broke(unsaid.len(), error),
                    StreamUpgradeError::Apply(never) => match never {},
                });
            }
            _ => {}
        }
    }
}
