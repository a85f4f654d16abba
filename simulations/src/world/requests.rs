//! What administrators ask, what they are answered, and strangers that want to be let in.

use althing_protocol::control::{Command, Reply};
use althing_protocol::effect::Input;
use althing_protocol::statement::Address;

use super::{Event, SECOND, World};
use crate::mutation::Mutation;

/// How long a stranger waits for an answer.
const JOIN_WAIT: u64 = 40 * SECOND;

/// Who asks to be let in, in which life, and its question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joiner {
    pub(crate) newcomer: usize,
    life: u64,
    join: u64,
}

/// A request without an answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) host: usize,
    pub(crate) life: u64,
    pub(crate) at: u64,
    pub(crate) what: String,
}

impl World {
    /// An administrator asks a host; its process must run.
    pub(crate) fn request(&mut self, at: usize, command: Command) -> u64 {
        self.requests += 1;
        let request = self.requests;
        let what = crate::words::asked(&command);
        self.note(Some(at), format!("is asked ({request}): {what}"));
        let life = self.hosts[at].life;
        self.asked.insert(request, Asked { host: at, life, at: self.now, what });
        let by = "admin".to_owned();
        if self.breaks_now(Mutation::AskedTwice, 5) {
            let (by, command) = (by.clone(), command.clone());
            self.give(at, Input::Requested { request, by, command });
        }
        self.give(at, Input::Requested { request, by, command });
        request
    }

    pub(super) fn replied(&mut self, at: usize, request: u64, reply: Reply) {
        self.note(Some(at), format!("answers ({request}): {}", crate::words::answered(&reply)));
        match &reply {
            Ok(_) => self.count("a request was done"),
            Err(refusal) => self.count(refusal.code.name()),
        }
        if self.asked.remove(&request).is_none() {
            self.violate("requests", format!("request {request} was answered twice or never asked"));
        }
        self.replies.insert(request, reply);
    }

    pub(super) fn join(&mut self, newcomer: usize, join: u64, address: Address, bytes: &[u8]) {
        let joiner = Joiner { newcomer, life: self.hosts[newcomer].life, join };
        let at = self.hosts.iter().position(|host| host.address.control == address.control);
        let reachable = |host: &usize| self.hosts[*host].is_up() && self.network.is_open(newcomer, *host);
        match at.filter(reachable) {
            Some(at) => {
                let after = self.network.delay();
                self.schedule(after, Event::JoinAsk { joiner, at, bytes: bytes.to_vec() });
                let answer = Err("no answer in time".to_owned());
                self.schedule(JOIN_WAIT, Event::JoinAnswer { joiner, answer });
            }
            None => {
                let answer = Err("refused".to_owned());
                self.schedule(SECOND, Event::JoinAnswer { joiner, answer });
            }
        }
    }

    pub(super) fn join_ask(&mut self, joiner: Joiner, at: usize, bytes: Vec<u8>) {
        if self.hosts[at].is_up() {
            self.requests += 1;
            let ticket = self.requests;
            self.tickets.insert(ticket, joiner);
            self.give(at, Input::JoinAsked { ticket, bytes });
        }
    }

    pub(super) fn answer_stranger(&mut self, ticket: u64, bytes: Vec<u8>) {
        if let Some(joiner) = self.tickets.remove(&ticket) {
            let after = self.network.delay();
            self.schedule(after, Event::JoinAnswer { joiner, answer: Ok(bytes) });
        }
    }

    pub(super) fn join_answer(&mut self, joiner: Joiner, answer: Result<Vec<u8>, String>) {
        let Joiner { newcomer, life, join } = joiner;
        // A member may be on its way to the entity that succeeds its own.
        if self.is_alive(newcomer, life) {
            self.give(newcomer, Input::JoinAnswered { join, answer });
        }
    }
}
