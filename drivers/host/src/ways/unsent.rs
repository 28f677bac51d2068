//! How much of a TCP connection's bytes the other side's kernel has not confirmed. Knows netlink's sock_diag, which
//! tells it of one connection without rights and without looking at all others (`sock_diag(7)`); no printer.
//!
//! ```text
//! question  length u32 72 | type u16 20 | flags u16 1 | sequence u32 | port u32 0 |
//!           family u8 | protocol u8 6 | extensions u8 0 | pad u8 | states u32 all |
//!           our port u16 BE | its port u16 BE | our address 16 | its address 16 | interface u32 0 | cookie 8 x ff
//! answer    length u32 | type u16 20 | flags u16 | sequence u32 | port u32 |
//!           family u8 | state u8 | timer u8 | retransmits u8 | sockid 48 | expires u32 | to read u32 | unsent u32 | ...
//! ```
//! Numbers are the machine's own but for the ports and addresses.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, netlink, recv, send, socket};
use std::net::{IpAddr, SocketAddr, TcpStream};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;
const TCP: u8 = 6;
const QUESTION_BYTES: u32 = 72;
/// Where an answer has the number.
const UNSENT: std::ops::Range<usize> = 76..80;
const ANSWER_BYTES_MAX: usize = 4_096;

/// Bytes that wait to be sent or confirmed; `None` where the system does not tell.
pub(super) fn bytes(stream: &TcpStream) -> Option<u32> {
    let question = question(stream.local_addr().ok()?, stream.peer_addr().ok()?);
    let kernel = socket(AddressFamily::NETLINK, SocketType::DGRAM, Some(netlink::SOCK_DIAG)).ok()?;
    send(&kernel, &question, SendFlags::DONTWAIT).ok()?;
    let mut room = [0; ANSWER_BYTES_MAX];
    // The kernel has answered before `send` returns.
    let (_, n) = recv(&kernel, &mut room[..], RecvFlags::DONTWAIT).ok()?;
    let answer = &room[..n.min(ANSWER_BYTES_MAX)];
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let unsent = u32::from_ne_bytes(answer.get(UNSENT)?.try_into().ok()?);
    (kind == SOCK_DIAG_BY_FAMILY).then_some(unsent)
}

fn question(ours: SocketAddr, its: SocketAddr) -> Vec<u8> {
    let family = if ours.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut question = Vec::with_capacity(QUESTION_BYTES as usize);
    question.extend(QUESTION_BYTES.to_ne_bytes());
    question.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    question.extend([0; 8]);
    question.extend([family.as_raw() as u8, TCP, 0, 0]);
    question.extend(u32::MAX.to_ne_bytes());
    question.extend(ours.port().to_be_bytes());
    question.extend(its.port().to_be_bytes());
    for address in [ours.ip(), its.ip()] {
        let mut place = [0; 16];
        match address {
            IpAddr::V4(address) => place[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => place = address.octets(),
        }
        question.extend(place);
    }
    question.extend([0; 4]);
    question.extend([0xff; 8]);
    question
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use super::{QUESTION_BYTES, bytes, question};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn bytes_that_nobody_reads_are_told_until_they_are_read() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut its, _) = listener.accept().unwrap();
            assert_eq!(
                question(ours.local_addr().unwrap(), ours.peer_addr().unwrap()).len() as u32,
                QUESTION_BYTES
            );
            assert_eq!(bytes(&ours), Some(0));
            ours.set_nonblocking(true).unwrap();
            let mut sent = 0;
            while let Ok(n) = ours.write(&[0; 65_536]) {
                sent += n;
            }
            assert!(bytes(&ours).unwrap() > 0);
            let mut room = vec![0; sent];
            its.read_exact(&mut room).unwrap();
            // What was read has been confirmed: the kernel does both in one step on one machine.
            let mut looks = 0;
            while bytes(&ours) != Some(0) {
                looks += 1;
                assert!(looks < 100_000);
                std::thread::yield_now();
            }
        }
    }
}
