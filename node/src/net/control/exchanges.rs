//! Messages, API requests and joins: what goes out, what comes in, what waits for an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Instant;

use althing_protocol::conduct::Offence;
use althing_protocol::frame::{Declined, Frame};
use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use libp2p::request_response::{
    Event, InboundFailure, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
};
use libp2p::swarm::ConnectionId;
use libp2p::swarm::behaviour::toggle::Toggle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::address::{peer_id, peer_key, socket_addr};
use super::super::codec::Said;
use super::super::limits::{API_BODY, API_IN_FLIGHT, JOIN_REPLY, REQUEST_TIMEOUT, UNANSWERED};
use super::super::lines::{Happened, LineEvent, Lines};
use super::super::link::Link;
use super::super::swarms::Exchange;
use super::super::{NetError, NetEvent, PeerKey};
use super::{Asked, Asker, Control, JoinAsked, Joining, short};

/// What the daemon answered to a request of somebody else.
pub(super) struct Answer {
    what: Asking,
    channel: ResponseChannel<Frame>,
    body: Option<Vec<u8>>,
}

/// Waits for the daemon's answer.
pub(super) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Control,
    Api,
    Join,
}

/// What our frames bring.
type FrameEvent = Event<Frame, Frame>;

impl Control {
    /// Sends what waits for a peer, as far as its window allows: by its line, or if it has none each by an exchange.
    pub(super) fn pump(&mut self, key: &PeerKey, now: Instant) {
        let (Some(peer), Some(link)) = (peer_id(key), self.links.get_mut(key)) else { return };
        let members = self.swarm.behaviour_mut().members.inner();
        while link.may_send() {
            let Some(message) = self.outbox.pop(key) else { return };
            match link.line() {
                Some(connection) => {
                    say(&mut members.lines, peer, link, (connection, Said::Message(message)), now);
                }
                None => link.sent(members.control.send_request(&peer, Frame::Body(message)), now),
            }
        }
    }

    /// Asks a peer on a new connection whether it takes us for a peer, too.
    pub(super) fn greet(&mut self, key: &PeerKey, now: Instant) {
        if let (Some(peer), Some(link)) = (peer_id(key), self.links.get_mut(key)) {
            let control = &mut self.swarm.behaviour_mut().members.inner().control;
            link.greeted(control.send_request(&peer, Frame::Hello), now);
        }
    }

    /// Nothing came for a while from somebody that was spoken to.
    pub(super) fn ask_whether_it_lives(&mut self, key: &PeerKey, now: Instant) {
        let (Some(peer), Some(link)) = (peer_id(key), self.links.get_mut(key)) else { return };
        match link.line() {
            Some(connection) => {
                let lines = &mut self.swarm.behaviour_mut().members.inner().lines;
                say(lines, peer, link, (connection, Said::Hello), now);
                link.asked(now);
            }
            None => self.greet(key, now),
        }
    }

    /// Something happened on a peer's line, or on ours to it.
    pub(super) fn on_line(&mut self, event: LineEvent, now: Instant) {
        let LineEvent { peer, connection, what } = event;
        let Some(key) = peer_key(&peer) else { return };
        match what {
            Happened::Heard(said) => {
                self.heard(&key, connection, now);
                self.on_said(key, connection, said, now);
            }
            Happened::Left(count) => self.left(&key, connection, count, now),
            Happened::Broke(count, error) => {
                tracing::debug!(peer = %short(&key), %error, "a line broke");
                (0..count).for_each(|_| self.outbox.count_lost(&key));
                self.left(&key, connection, count, now);
            }
            Happened::Unsupported(unsaid) => {
                if let Some(link) = self.links.get_mut(&key) {
                    link.has_no_line(connection);
                    let control = &mut self.swarm.behaviour_mut().members.inner().control;
                    for said in unsaid {
                        match said {
                            Said::Message(body) => {
                                link.sent(control.send_request(&peer, Frame::Body(body)), now);
                            }
                            Said::Hello => link.sent(control.send_request(&peer, Frame::Hello), now),
                            Said::Taken => {}
                        }
                    }
                }
                self.pump(&key, now);
            }
            // Whoever opens one after the other pays for it as for messages.
            Happened::Opened => {
                let _ = self.budgets.message(key, 0, now);
            }
            Happened::Ended(error) => {
                tracing::debug!(peer = %short(&key), %error, "a peer's line ended");
                match error.kind() {
                    io::ErrorKind::InvalidData => self.budgets.note(key, Offence::Malformed),
                    io::ErrorKind::TimedOut => self.budgets.note(key, Offence::Slow),
                    _ => {}
                }
            }
        }
    }

    /// Something on a peer's line.
    fn on_said(&mut self, from: PeerKey, connection: ConnectionId, said: Said, now: Instant) {
        match said {
            Said::Message(bytes) if self.takes(&from, bytes.len(), now) => {
                self.confirm(from, connection, now);
                self.backlog.push(NetEvent::Message { from, bytes });
            }
            // Nobody waits for an answer to a message: the protocol says again what matters.
            Said::Message(_) => {}
            Said::Hello if self.policy.allows(&from) => {
                // However much waits here: who asks wants to know whether we live. It pays all the same.
                let _ = self.budgets.message(from, 0, now);
                self.confirm(from, connection, now);
                self.say_taken(from, connection, now);
            }
            Said::Hello | Said::Taken => {
                let _ = self.budgets.message(from, 0, now);
            }
        }
    }

    /// Answers on a line, unless so much is already on it that the peer hears us anyway.
    fn say_taken(&mut self, to: PeerKey, connection: ConnectionId, now: Instant) {
        if let (Some(peer), Some(link)) = (peer_id(&to), self.links.get_mut(&to))
            && link.line() == Some(connection)
            && link.may_send()
        {
            let lines = &mut self.swarm.behaviour_mut().members.inner().lines;
            say(lines, peer, link, (connection, Said::Taken), now);
        }
    }

    fn left(&mut self, key: &PeerKey, connection: ConnectionId, count: usize, now: Instant) {
        if let Some(link) = self.links.get_mut(key) {
            link.left(connection, count);
        }
        self.pump(key, now);
    }

    /// Sends a request of ours.
    pub(super) fn ask(&mut self, to: PeerKey, body: Vec<u8>, reply: Asker, now: Instant) {
        let (Some(peer), Some(link)) = (peer_id(&to), self.links.get_mut(&to)) else {
            let _ = reply.send(Err(NetError::NotAPeer));
            return;
        };
        if !link.is_confirmed() {
            link.hurry(now);
            let why = if link.is_shunned(now) { NetError::Stranger } else { NetError::NotConnected };
            let _ = reply.send(Err(why));
        } else if self.asked.values().filter(|asked| asked.peer == to).count() >= API_IN_FLIGHT {
            let _ = reply.send(Err(NetError::Busy));
        } else {
            let api = &mut self.swarm.behaviour_mut().members.inner().api;
            let id = api.send_request(&peer, Frame::Body(body));
            self.asked.insert(id, Asked { peer: to, reply });
        }
    }

    /// The dial of a join has succeeded: ask.
    pub(super) fn ask_to_join(
        &mut self,
        peer: PeerId,
        key: PeerKey,
        connection: ConnectionId,
        join: Joining,
    ) {
        let id = self.swarm.behaviour_mut().join.inner().send_request(&peer, Frame::Body(join.body));
        self.join_asked.insert(id, JoinAsked { connection, peer: key, reply: join.reply });
    }

    /// Forgets the joins whose caller does not wait any more.
    pub(super) fn drop_abandoned_joins(&mut self, now: Instant) {
        self.joining.retain(|_, joining| !joining.reply.is_closed());
        let abandoned = self.join_asked.iter().filter(|(_, asked)| asked.reply.is_closed());
        let abandoned: Vec<_> = abandoned.map(|(id, _)| *id).collect();
        for id in abandoned {
            if let Some(asked) = self.join_asked.remove(&id) {
                self.close_after_join(&asked, now);
            }
        }
    }

    /// A join connection has done its duty, unless it is the connection to a peer.
    fn close_after_join(&mut self, asked: &JoinAsked, now: Instant) {
        let used = self.links.get(&asked.peer).and_then(super::Link::connection);
        if used != Some(asked.connection) {
            self.close(asked.connection, now);
        }
    }

    /// A control message, or the acknowledgement of one of ours.
    pub(super) fn on_control(&mut self, event: FrameEvent, now: Instant) {
        let Some(key) = peer_key(peer_of(&event)) else { return };
        match event {
            Event::Message { connection_id, message, .. } => {
                self.heard(&key, connection_id, now);
                match message {
                    Message::Request { request, channel, .. } => {
                        self.on_message(key, connection_id, request, channel, now);
                    }
                    Message::Response { request_id, response } => {
                        self.on_acknowledged(key, connection_id, (request_id, &response), now);
                    }
                }
            }
            Event::OutboundFailure { connection_id, request_id, error, .. } => {
                tracing::debug!(%error, "message lost");
                if self.is_hello(&key, request_id) {
                    self.close_unless_stranger(connection_id, &error, now);
                } else {
                    self.outbox.count_lost(&key);
                }
                self.on_refused_protocol(key, connection_id, &error, now);
                self.settle(&key, request_id, now);
            }
            Event::InboundFailure { error, .. } => self.on_unread(key, Asking::Control, &error),
            Event::ResponseSent { .. } => {}
        }
    }

    /// A peer's request that did not come to its end, or whose answer did not leave.
    fn on_unread(&mut self, from: PeerKey, what: Asking, error: &InboundFailure) {
        tracing::debug!(%error, "a request was not read, or its answer is lost");
        match error {
            InboundFailure::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.budgets.note(from, Offence::Malformed);
            }
            // Messages are acknowledged at once, so it is the peer that did not end; calls may take us long.
            InboundFailure::Timeout if what == Asking::Control => self.budgets.note(from, Offence::Slow),
            _ => {}
        }
    }

    fn is_hello(&self, key: &PeerKey, request: OutboundRequestId) -> bool {
        self.links.get(key).is_some_and(|link| link.is_hello(request))
    }

    fn on_acknowledged(
        &mut self,
        key: PeerKey,
        connection: ConnectionId,
        (request, response): (OutboundRequestId, &Frame),
        now: Instant,
    ) {
        if *response == Frame::Taken {
            self.confirm(key, connection, now);
        } else if !self.is_hello(&key, request) {
            self.outbox.count_lost(&key);
        }
        self.settle(&key, request, now);
    }

    /// Nobody answers our first question. Whoever takes us for a stranger may still ask to join, though.
    fn close_unless_stranger(&mut self, connection: ConnectionId, error: &OutboundFailure, now: Instant) {
        if !matches!(error, OutboundFailure::UnsupportedProtocols) {
            self.close(connection, now);
        }
    }

    fn settle(&mut self, key: &PeerKey, request: OutboundRequestId, now: Instant) {
        if let Some(link) = self.links.get_mut(key) {
            link.settled(request);
        }
        self.pump(key, now);
    }

    fn on_message(
        &mut self,
        from: PeerKey,
        connection: ConnectionId,
        request: Frame,
        channel: ResponseChannel<Frame>,
        now: Instant,
    ) {
        let answer = match request {
            Frame::Hello if self.policy.allows(&from) => Frame::Taken,
            Frame::Hello => Frame::Declined(Declined::Unanswered),
            Frame::Body(bytes) if self.takes(&from, bytes.len(), now) => {
                self.confirm(from, connection, now);
                self.backlog.push(NetEvent::Message { from, bytes });
                Frame::Taken
            }
            Frame::Body(_) => Frame::Declined(Declined::Busy),
            Frame::Taken | Frame::Declined(_) => Frame::Declined(Declined::Unanswered),
        };
        // An error means that the sender is gone; it will find out.
        let _ = self.swarm.behaviour_mut().members.inner().control.send_response(channel, answer);
    }

    /// Whether there is room for a message, in the queue and in its sender's budget.
    fn takes(&mut self, from: &PeerKey, bytes: usize, now: Instant) -> bool {
        self.policy.allows(from) && self.backlog.has_room(bytes) && self.budgets.message(*from, bytes, now)
    }

    /// A peer's request, or the answer to one of ours.
    pub(super) fn on_api(&mut self, event: FrameEvent, now: Instant) {
        let Some(key) = peer_key(peer_of(&event)) else { return };
        match event {
            Event::Message { connection_id, message, .. } => {
                self.heard(&key, connection_id, now);
                match message {
                    Message::Request { channel, .. } if !self.budgets.request(key, now) => {
                        self.respond(Asking::Api, channel, Frame::Declined(Declined::Busy));
                    }
                    Message::Request { request, channel, .. } => {
                        let ask = |body, reply| NetEvent::Request { from: key, body, reply };
                        self.pass_on(Asking::Api, request, channel, ask);
                    }
                    Message::Response { request_id, response } => {
                        if let Some(asked) = self.asked.remove(&request_id) {
                            let _ = asked.reply.send(body_of(response, API_BODY));
                        }
                    }
                }
            }
            Event::OutboundFailure { connection_id, request_id, error, .. } => {
                self.on_refused_protocol(key, connection_id, &error, now);
                if let Some(asked) = self.asked.remove(&request_id) {
                    let _ = asked.reply.send(Err(failure(&error)));
                }
            }
            Event::InboundFailure { error, .. } => self.on_unread(key, Asking::Api, &error),
            Event::ResponseSent { .. } => {}
        }
    }

    fn on_refused_protocol(
        &mut self,
        key: PeerKey,
        connection: ConnectionId,
        error: &OutboundFailure,
        now: Instant,
    ) {
        let used = self.links.get(&key).and_then(super::Link::connection);
        if matches!(error, OutboundFailure::UnsupportedProtocols) && used == Some(connection) {
            self.demote(key, connection, now);
        }
    }

    /// Somebody's join request, or the answer to one of ours.
    pub(super) fn on_join(&mut self, event: FrameEvent, now: Instant) {
        match event {
            Event::Message { peer, connection_id, message: Message::Request { request, channel, .. } } => {
                let remote = self.swarm.behaviour_mut().join.endpoint(connection_id).and_then(remote_of);
                let (Some(from), Some(remote)) = (peer_key(&peer), remote) else { return };
                if self.policy.refuses(&from) {
                    return;
                }
                if !self.knocking.may_join(remote.ip(), now) {
                    self.knocking.refused(Some(remote.ip()));
                    self.respond(Asking::Join, channel, Frame::Declined(Declined::Busy));
                    return;
                }
                if !self.strangers.asks(connection_id, now) {
                    tracing::debug!("a stranger asks twice at once");
                    self.close(connection_id, now);
                    return;
                }
                let ask = |body, reply| NetEvent::Join { from, remote, body, reply };
                self.pass_on(Asking::Join, request, channel, ask);
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                if let Some(asked) = self.join_asked.remove(&request_id) {
                    self.close_after_join(&asked, now);
                    let answer = body_of(response, JOIN_REPLY).map(|body| (asked.peer, body));
                    let _ = asked.reply.send(answer);
                }
            }
            Event::OutboundFailure { request_id, error, .. } => {
                if let Some(asked) = self.join_asked.remove(&request_id) {
                    self.close_after_join(&asked, now);
                    let _ = asked.reply.send(Err(failure(&error)));
                }
            }
            Event::InboundFailure { connection_id, .. } | Event::ResponseSent { connection_id, .. } => {
                self.strangers.answered(connection_id, now);
            }
        }
    }

    /// Gives a request to the daemon, and waits for its answer without blocking.
    fn pass_on(
        &mut self,
        what: Asking,
        request: Frame,
        channel: ResponseChannel<Frame>,
        event: impl FnOnce(Vec<u8>, oneshot::Sender<Vec<u8>>) -> NetEvent,
    ) {
        let body = match request {
            Frame::Body(body) if self.answering.len() < UNANSWERED && self.backlog.has_room(body.len()) => {
                body
            }
            Frame::Body(_) => {
                return self.respond(what, channel, Frame::Declined(Declined::Busy));
            }
            Frame::Hello | Frame::Taken | Frame::Declined(_) => {
                return self.respond(what, channel, Frame::Declined(Declined::Unanswered));
            }
        };
        let (reply, answer) = oneshot::channel();
        self.backlog.push(event(body, reply));
        self.answering.push(Box::pin(async move {
            let body = timeout(REQUEST_TIMEOUT, answer).await.ok().and_then(Result::ok);
            Answer { what, channel, body }
        }));
    }

    /// The daemon has answered. Whoever asked to join waits until that is sent ([`Self::on_join`]): its connection must
    /// not be closed before, even if it has just become a peer's.
    pub(super) fn on_answer(&mut self, answer: Answer) {
        let limit = if answer.what == Asking::Api { API_BODY } else { JOIN_REPLY };
        let frame = match answer.body {
            Some(body) if body.len() <= limit => Frame::Body(body),
            Some(body) => Frame::Declined(Declined::TooLarge(body.len() as u64)),
            None => Frame::Declined(Declined::Unanswered),
        };
        self.respond(answer.what, answer.channel, frame);
    }

    fn respond(&mut self, what: Asking, channel: ResponseChannel<Frame>, frame: Frame) {
        let behaviour = self.swarm.behaviour_mut();
        let exchange = match what {
            Asking::Control => &mut behaviour.members.inner().control,
            Asking::Api => &mut behaviour.members.inner().api,
            Asking::Join => behaviour.join.inner(),
        };
        // An error means that the asker is gone.
        let _ = Exchange::send_response(exchange, channel, frame);
    }
}

/// Says something on the line of a connection, if there are lines at all.
fn say(
    lines: &mut Toggle<Lines>,
    peer: PeerId,
    link: &mut Link,
    (connection, said): (ConnectionId, Said),
    now: Instant,
) {
    if let Some(lines) = lines.as_mut() {
        match &said {
            Said::Message(body) => link.said(body.len(), now),
            Said::Hello => link.said(0, now),
            Said::Taken => link.answered(),
        }
        lines.say(peer, connection, said);
    }
}

fn peer_of(event: &FrameEvent) -> &PeerId {
    match event {
        Event::Message { peer, .. }
        | Event::OutboundFailure { peer, .. }
        | Event::InboundFailure { peer, .. }
        | Event::ResponseSent { peer, .. } => peer,
    }
}

fn remote_of(endpoint: &ConnectedPoint) -> Option<SocketAddr> {
    socket_addr(endpoint.get_remote_address())
}

/// The body in an answer, or why there is none.
fn body_of(answer: Frame, limit: usize) -> Result<Vec<u8>, NetError> {
    match answer {
        Frame::Body(body) => Ok(body),
        Frame::Declined(Declined::Busy) => Err(NetError::Busy),
        Frame::Declined(Declined::TooLarge(size)) => {
            Err(NetError::TooLarge { size: usize::try_from(size).unwrap_or(usize::MAX), limit })
        }
        Frame::Declined(Declined::Unanswered) | Frame::Hello | Frame::Taken => Err(NetError::Unanswered),
    }
}

/// Why an exchange failed, in our words.
fn failure(error: &OutboundFailure) -> NetError {
    match error {
        OutboundFailure::Timeout => NetError::Timeout,
        OutboundFailure::UnsupportedProtocols => NetError::Stranger,
        OutboundFailure::DialFailure => NetError::NotConnected,
        OutboundFailure::ConnectionClosed => NetError::Broken("closed".into()),
        OutboundFailure::Io(error) => NetError::Broken(error.to_string()),
    }
}
