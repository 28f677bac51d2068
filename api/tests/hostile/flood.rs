//! Attacks by number: connections, pipelined requests, announced bodies, descriptors.

use crate::attack::{GOOD_DEVICES, under_attack};
use crate::client::{assert_still_served, connect, read_all, read_responses, statuses, wait_until};
use crate::service::quick_limits;
use crate::venue::{SIDE_GATE, Venue, post, side_scan};
use api::http::Limits;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn connection_caps_hold() {
    let limits = Limits { connections_per_peer_max: GOOD_DEVICES + 10, ..quick_limits() };
    under_attack("more connections than one address may have", limits, |venue| {
        wait_until("only the good devices", || {
            venue.server.stats().connections_open() == GOOD_DEVICES as u64
        });
        let refused_before = venue.server.stats().connections_refused;
        let mut kept: Vec<TcpStream> = (0..10).map(|_| venue.connect()).collect();
        wait_until("all are open", || venue.server.stats().connections_open() == GOOD_DEVICES as u64 + 10);
        assert!(read_all(&mut venue.connect()).is_empty(), "one more is closed");
        assert_eq!(venue.server.stats().connections_refused, refused_before + 1);
        kept.pop();
        wait_until("one has left", || venue.server.stats().connections_open() == GOOD_DEVICES as u64 + 9);
        assert_still_served(&mut venue.connect(), "room again");
    });
}

#[test]
fn running_out_of_descriptors_pauses_accepting_without_spinning() {
    under_attack("no descriptors", quick_limits(), without_descriptors);
}

fn without_descriptors(venue: &Venue) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::os::fd::AsRawFd;
    let mut early = venue.connect();
    assert_still_served(&mut early, "before");
    let sockets: Vec<socket2::Socket> = (0..4)
        .map(|_| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap())
        .collect();
    let (before, errors_before) = (getrlimit(Resource::Nofile), venue.server.stats().accept_errors);
    // The lowest free descriptor becomes the limit: the process can open nothing more.
    let lowest = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let none_left = Rlimit { current: Some(u64::try_from(lowest).unwrap()), maximum: before.maximum };
    setrlimit(Resource::Nofile, none_left).unwrap();
    let connected = sockets.iter().all(|socket| socket.connect(&venue.addr().into()).is_ok());
    std::thread::sleep(Duration::from_millis(350));
    let errors = venue.server.stats().accept_errors - errors_before;
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(connected);
    // Two workers, each with a pause of 100 ms.
    assert!((1..=16).contains(&errors), "{errors} failed attempts in 350 ms");
    assert_still_served(&mut early, "a connection from before");
    for socket in sockets {
        assert_still_served(&mut socket.into(), "a connection that had to wait");
    }
}

#[test]
fn large_bodies_together_are_bounded() {
    let limits = Limits { buffer_bytes_grown_max: 9 * 1024 * 1024, ..quick_limits() };
    under_attack("large bodies together", limits, |venue| {
        // Each of the two workers has room for one.
        let refused_before = venue.server.stats().faults_of(503);
        let mut begun: Vec<TcpStream> = (0..3).map(|_| venue.connect()).collect();
        for stream in &mut begun {
            stream.write_all(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n").unwrap();
            // One that is refused may be closed while we still send.
            let _ = stream.write_all(&vec![b'x'; 4_194_303]);
        }
        wait_until("one is refused", || venue.server.stats().faults_of(503) > refused_before);
        drop(begun);
        wait_until("all are gone", || venue.server.stats().connections_open() == GOOD_DEVICES as u64);
        let mut alone = venue.connect();
        alone.write_all(&post("/large", "", &vec![b'x'; 4 * 1024 * 1024])).unwrap();
        assert_eq!(read_responses(&mut alone, 1)[0].status, 200, "there is room again");
    });
}

#[test]
fn a_pipeliner_that_reads_is_served_but_not_alone() {
    under_attack("reading pipeliners", quick_limits(), |venue| {
        let addr = venue.addr();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    let mut stream = connect(addr);
                    let burst =
                        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nscan".repeat(200);
                    for _ in 0..40 {
                        stream.write_all(&burst).unwrap();
                        assert_eq!(read_responses(&mut stream, 200).len(), 200);
                    }
                });
            }
        });
    });
}

#[test]
fn announced_but_unsent_large_bodies_cost_nothing() {
    under_attack("500 announced bodies of 4 MiB", quick_limits(), |venue| {
        let mut streams: Vec<TcpStream> = (0..500).map(|_| venue.connect()).collect();
        for stream in &mut streams {
            stream
                .write_all(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\nxxxx")
                .unwrap();
        }
        streams.iter_mut().for_each(|stream| assert_eq!(statuses(&read_all(stream)), [408]));
    });
}

#[test]
fn thousands_of_idle_connections_harm_nobody() {
    let wanted = idle_connections();
    under_attack(&format!("{wanted} idle connections"), quick_limits(), |venue| {
        let idle: Vec<TcpStream> = (0..wanted).map(|_| venue.connect()).collect();
        wait_until("all are open", || venue.server.stats().connections_open() >= wanted as u64);
        std::thread::sleep(Duration::from_millis(300));
        drop(idle);
    });
}

/// 5,000, or as many as the descriptor limit allows: both ends are in this process.
fn idle_connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).ok();
    let allowed = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |now| usize::try_from(now).unwrap());
    let wanted = 5_000.min(allowed.saturating_sub(400) / 2);
    if wanted < 5_000 {
        println!("only {wanted} idle connections: {allowed} descriptors are allowed");
    }
    wanted
}

#[test]
fn a_connection_per_scan_is_served() {
    under_attack("a connection per scan", quick_limits(), |venue| {
        let before = venue.decided(SIDE_GATE).0;
        for n in 0..1_000 {
            let body = venue.exchange(&side_scan(&format!("c-{}", before + n)));
            assert_eq!(statuses(&body), [200]);
        }
        assert_eq!(venue.decided(SIDE_GATE), (before + 1_000, 0));
    });
}
