//! The device port of Gatehouse and the program around it. Arrows go one way: program → port → engine.
//!
//! | module | owns |
//! |---|---|
//! | `http` | sockets and HTTP/1.1 |
//! | `body` | what devices send |
//! | `profile` | how devices are answered |
//! | `port` | which path means what, who asks |
//! | `behind` | the paths of `ops` behind the admin API's listener |
//! | `ops` | the API port: health, metrics, a venue's changes |
//! | `peripherals` | printers and displays: what the journal means for them, what people ask of them |
//! | `station` | the same drivers on a client PC |
//! | `cold` | look-ups of tickets that are in the store only |
//! | `node` | the parts put together |
//! | `housekeeping` | what a node does besides answering, when it is due |
//! | `storage` | which store a node has |
//! | `system` | what the operating system is asked for: threads that give way, small pages |
//! | `config`, `cli`, `target`, `drivers`, `import`, `export`, `inspect`, `live`, `demo` | the program |

pub mod behind;
pub mod body;
pub mod cli;
pub mod cold;
pub mod config;
pub mod demo;
pub mod drivers;
pub mod export;
pub mod housekeeping;
pub mod http;
pub mod import;
pub mod inbox;
pub mod inspect;
pub mod live;
pub mod metrics;
pub mod node;
pub mod ops;
pub mod peripherals;
pub mod port;
pub mod profile;
pub mod rate;
pub mod station;
pub mod storage;
pub mod system;
pub mod target;
pub mod venue;
