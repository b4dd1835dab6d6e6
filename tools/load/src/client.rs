//! The client's side of a connection, only as much as is needed to be a load.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use afp_proto::afp::{FpGetSrvrParms, FpLoginCont, FpLoginExt};
use afp_proto::dsi::{Command, Frame, Framer, Kind, OpenSessionOptions};
use afp_proto::srp::{self, Challenge, ClientProof, ServerProof};
use afp_proto::{Pascal, ResultCode, WidePascal};
use getrandom::SysRng;
use srp6a::{Group, Profile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::Result;

/// Who logs in.
#[derive(Clone, Copy)]
pub struct Account<'a> {
    pub name: &'a str,
    pub password: &'a str,
}

pub struct Client {
    pub stream: TcpStream,
    framer: Framer,
    next_id: u16,
}

impl Client {
    /// `from`: the address to come from; the system's choice if there is none.
    pub async fn connect(from: Option<IpAddr>, to: SocketAddr) -> io::Result<Client> {
        let socket = TcpSocket::new_v4()?;
        if let Some(from) = from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, framer: Framer::new(1 << 20), next_id: 0 })
    }

    /// Connects and opens a session.
    pub async fn open(from: Option<IpAddr>, to: SocketAddr) -> Result<Client> {
        let mut client = Client::connect(from, to).await?;
        let reply = client.ask(Command::OPEN_SESSION, open_session()).await?;
        wanted("DSIOpenSession", &reply, ResultCode::NO_ERR)?;
        Ok(client)
    }

    /// Connects and signs in.
    pub async fn signed_in(from: Option<IpAddr>, to: SocketAddr, account: Account<'_>) -> Result<Client> {
        let mut client = Client::open(from, to).await?;
        client.log_in(account).await?;
        Ok(client)
    }

    pub async fn log_in(&mut self, account: Account<'_>) -> Result<()> {
        let reply = self.ask(Command::COMMAND, login_ext(account.name)).await?;
        wanted("FPLoginExt", &reply, ResultCode::AUTH_CONTINUE)?;
        let challenge = Challenge::decode(&reply.payload)?;
        let client = srp6a::Client::start(&Profile::AFP, Group::Bits1536, &mut SysRng)?;
        let a_pub = client.a_pub().to_vec();
        let proof =
            client.prove(account.name.as_bytes(), account.password.as_bytes(), &challenge.salt, &challenge.b_pub)?;
        let reply = self.ask(Command::COMMAND, login_cont(&a_pub, proof.m1())).await?;
        wanted("FPLoginCont", &reply, ResultCode::NO_ERR)?;
        proof.verify(&ServerProof::decode(&reply.payload)?.m2)?;
        Ok(())
    }

    /// One call of a signed-in session.
    pub async fn call(&mut self) -> Result<()> {
        let reply = self.ask(Command::COMMAND, FpGetSrvrParms { padded: true }.encode()).await?;
        wanted("FPGetSrvrParms", &reply, ResultCode::NO_ERR)
    }

    pub async fn ask(&mut self, command: Command, payload: Vec<u8>) -> Result<Frame> {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        self.stream.write_all(&Frame::request(command, id, payload).encode()).await?;
        loop {
            let frame = self.hear().await?;
            match (frame.header.kind, frame.header.command) {
                (Kind::Reply, _) if frame.header.request_id == id => return Ok(frame),
                (Kind::Request, Command::TICKLE) => self.tickle().await?,
                (Kind::Request, Command::CLOSE_SESSION) => return Err("the server closes the session".into()),
                _ => {}
            }
        }
    }

    /// The next frame, whatever it is. An error at the end of the connection.
    pub async fn hear(&mut self) -> Result<Frame> {
        let mut buffer = [0; 2048];
        loop {
            if let Some(frame) = self.framer.next_frame()? {
                return Ok(frame);
            }
            match self.stream.read(&mut buffer).await? {
                0 => return Err("the server has closed the connection".into()),
                read => self.framer.push(&buffer[..read]),
            }
        }
    }

    /// Answers every sign of life with one, until the server ends the connection.
    pub async fn stay(&mut self) {
        while let Ok(frame) = self.hear().await {
            if (frame.header.kind, frame.header.command) == (Kind::Request, Command::TICKLE)
                && self.tickle().await.is_err()
            {
                return;
            }
        }
    }

    async fn tickle(&mut self) -> Result<()> {
        let tickle = Frame::request(Command::TICKLE, self.next_id, Vec::new());
        self.next_id = self.next_id.wrapping_add(1);
        Ok(self.stream.write_all(&tickle.encode()).await?)
    }

    /// Closes the session and waits for the server to do the same. Netatalk keeps one whose client has just gone.
    pub async fn leave(mut self) {
        let goodbye = Frame::request(Command::CLOSE_SESSION, self.next_id, Vec::new());
        if self.stream.write_all(&goodbye.encode()).await.is_ok() {
            timeout(Duration::from_secs(5), async { while self.hear().await.is_ok() {} }).await.ok();
        }
    }
}

pub fn open_session() -> Vec<u8> {
    OpenSessionOptions { attention_quantum: Some(2) }.encode()
}

pub fn login_ext(name: &str) -> Vec<u8> {
    let cut = |text: &'static [u8]| Pascal::cut(text);
    FpLoginExt::new(cut(b"AFP3.4"), cut(b"SRP"), Pascal::cut(name.as_bytes()), &srp::INIT).encode()
}

pub fn login_cont(a_pub: &[u8], m1: &[u8]) -> Vec<u8> {
    let proof = ClientProof { a_pub: WidePascal::cut(a_pub), m1: WidePascal::cut(m1) }.encode();
    FpLoginCont { pad: 0, id: 0, user_auth_info: &proof }.encode()
}

fn wanted(what: &str, reply: &Frame, code: ResultCode) -> Result<()> {
    if reply.result() == code { Ok(()) } else { Err(format!("{what}: {}", reply.result()).into()) }
}
