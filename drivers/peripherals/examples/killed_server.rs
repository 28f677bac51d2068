//! A server for tests that kill it: opens the peripherals and submits jobs without end, telling each on a line of its
//! standard output when it is durable. Arguments: settings, queue, drivers, host, the first job's number.
#![allow(clippy::unwrap_used, reason = "it is there to be killed")]

use peripherals::{Document, Error, Job, Op, Origin, Pace, Peripherals, Place, Priority, Settings};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [settings, queue, drivers, host, first] = args.as_slice() else { panic!("five arguments") };
    let place = Place {
        queue: PathBuf::from(queue),
        drivers: PathBuf::from(drivers),
        host: PathBuf::from(host),
        station: None,
    };
    let pace = Pace { orphan: Duration::from_millis(50), ..Pace::default() };
    let peripherals =
        Peripherals::open_with(Settings::load(Path::new(settings)).unwrap(), place, pace).unwrap();
    for number in first.parse::<u64>().unwrap().. {
        let ops = vec![Op::Text(format!("[job-{number}]").into()), Op::Newline];
        let job = Job {
            id: format!("job-{number}"),
            peripheral: "till".to_owned(),
            document: Document::Ops(ops),
            priority: Priority::Normal,
            expires_ms: None,
            origin: Origin::Operator { who: "test".to_owned() },
        };
        loop {
            match peripherals.submit(job.clone()) {
                Ok(_) => break,
                Err(Error::Full { .. }) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("{error}"),
            }
        }
        println!("job-{number}");
    }
}
