//! Paper for tests: a printer that is a socket, and the folder of the drivers that print on it. Knows no job.

use crate::support::{Site, until};
use driver_testkit::hosted::{host_program, plugin_file};
use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A folder with the driver host and these plugins, as an installed program has one.
pub fn drivers(site: &Site, plugins: &[&str]) -> String {
    let dir = PathBuf::from(site.file("drivers-of", b"")).with_file_name("drivers");
    std::fs::create_dir_all(&dir).unwrap();
    for file in plugins.iter().map(|name| plugin_file(name)).chain([host_program()]) {
        assert!(file.exists(), "{} is not built: cargo test --workspace builds it", file.display());
        let link = dir.join(file.file_name().unwrap());
        if !link.exists() {
            std::fs::copy(&file, &link).unwrap();
        }
    }
    dir.display().to_string()
}

/// A printer of plain text on port 9100, so to say: what was printed can be read while it is.
#[derive(Clone)]
pub struct Paper {
    pub way: String,
    text: Arc<Mutex<Vec<u8>>>,
}

impl Paper {
    pub fn new() -> Paper {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = format!("tcp://{}", listener.local_addr().unwrap());
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let own = Arc::clone(&text);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for wire in listener.incoming() {
                let (mut wire, own) = (wire.unwrap(), Arc::clone(&own));
                std::thread::spawn(move || {
                    let mut bytes = [0; 4_096];
                    while let Ok(count @ 1..) = wire.read(&mut bytes) {
                        own.lock().unwrap().extend_from_slice(&bytes[..count]);
                    }
                });
            }
        });
        Paper { way, text }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    pub fn count(&self, what: &str) -> usize {
        self.text().matches(what).count()
    }

    pub fn wait_for(&self, what: &str) -> String {
        until(&format!("{what:?} on paper"), || Some(self.text()).filter(|text| text.contains(what)))
    }
}
