//! Passwords: what one must be like, and how they are hashed and compared. Hashing is slow on purpose, so it has threads of
//! its own and a queue with an end. Knows no operator.

use super::figures::SignInFigures;
use super::turns::Turns;
use crate::problem::{Kind, Problem};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Shortest password, in characters.
pub const CHARS_MIN: usize = 12;
/// Longest password, in characters.
pub const CHARS_MAX: usize = 1_024;
/// Passwords that wait for one of the two threads; each takes 19 MiB and some 30 ms.
const WAITING_MAX: usize = 64;
/// A password waits so long for its turn.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Hashes and compares passwords.
pub struct Passwords {
    turns: Turns<Job>,
    figures: Arc<SignInFigures>,
}

struct Job {
    work: Work,
    asked: Instant,
    answer: oneshot::Sender<Result<Done, Problem>>,
}

enum Work {
    /// Is it the password of this hash? Without one nothing is, and it takes as long.
    Compare {
        password: String,
        hash: Option<String>,
    },
    Hash {
        password: String,
    },
}

enum Done {
    Same(bool),
    Hashed(String),
}

/// What is wrong with a password, in words; `name` is whose it is to be.
///
/// # Errors
/// As said.
pub fn check(password: &str, name: &str) -> Result<(), String> {
    let chars = password.chars().count();
    if !(CHARS_MIN..=CHARS_MAX).contains(&chars) {
        return Err(format!("a password has {CHARS_MIN} to {CHARS_MAX} characters, this one {chars}"));
    }
    let (password, name) = (password.to_lowercase(), name.to_lowercase());
    let local = name.split('@').next().unwrap_or_default();
    if password == name || password == local {
        return Err("a password is not one's own name".to_owned());
    }
    Ok(())
}

impl Passwords {
    /// Starts the threads; the one that has to give way begins with `give_way`.
    ///
    /// # Errors
    /// No threads can be had.
    pub fn start(give_way: fn(), figures: Arc<SignInFigures>) -> io::Result<Passwords> {
        let (nobodys, own) = (OnceLock::new(), Arc::clone(&figures));
        let work = move |job: Job| job.run(nobodys.get_or_init(nobodys_hash), &own);
        let turns = Turns::start("passwords", WAITING_MAX, give_way, work)?;
        Ok(Passwords { turns, figures })
    }

    /// Is it the password of this hash? Without a hash the answer is no, after the same work.
    ///
    /// # Errors
    /// Too many wait, or it waited too long.
    pub async fn are_same(&self, password: String, hash: Option<String>) -> Result<bool, Problem> {
        match self.run(Work::Compare { password, hash }).await? {
            Done::Same(same) => Ok(same),
            Done::Hashed(_) => unreachable!("a comparison was asked for"),
        }
    }

    /// The hash of a password.
    ///
    /// # Errors
    /// Too many wait, or it waited too long.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        match self.run(Work::Hash { password }).await? {
            Done::Hashed(hash) => Ok(hash),
            Done::Same(_) => unreachable!("a hash was asked for"),
        }
    }

    async fn run(&self, work: Work) -> Result<Done, Problem> {
        let (answer, answered) = oneshot::channel();
        if !self.turns.take_in(Job { work, asked: Instant::now(), answer }) {
            return Err(self.busy());
        }
        let _waiting = self.figures.waits();
        answered.await.map_err(|_| Problem::new(Kind::Unavailable, "the password was not looked at"))?
    }

    fn busy(&self) -> Problem {
        self.figures.count_told_to_wait();
        let mut problem = Problem::new(Kind::RateLimited, "too many passwords wait to be looked at");
        problem.retry_after_s = Some(WAIT_MAX.as_secs() as u32);
        problem
    }
}

/// What a password is compared with where there is nobody of that name.
fn nobodys_hash() -> String {
    let password = secrets::new_key().unwrap_or_default();
    secrets::password_hash(&password).unwrap_or_default()
}

impl Job {
    fn run(self, nobodys: &str, figures: &SignInFigures) {
        // Whoever asked has gone away and will learn nothing.
        if self.answer.is_closed() {
            return;
        }
        if self.asked.elapsed() > WAIT_MAX {
            let late = Problem::new(Kind::Unavailable, "the password waited too long for its turn");
            let _ = self.answer.send(Err(late));
            return;
        }
        let hashing = figures.is_hashing();
        let done = match self.work {
            Work::Compare { password, hash } => {
                let same = secrets::password_matches(&password, hash.as_deref().unwrap_or(nobodys));
                Ok(Done::Same(same && hash.is_some()))
            }
            Work::Hash { password } => secrets::password_hash(&password)
                .map(Done::Hashed)
                .map_err(|problem| Problem::new(Kind::Unavailable, problem)),
        };
        drop(hashing);
        let _ = self.answer.send(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> (Arc<SignInFigures>, Arc<Passwords>) {
        let figures = Arc::new(SignInFigures::default());
        (Arc::clone(&figures), Arc::new(Passwords::start(|| {}, figures).unwrap()))
    }

    #[tokio::test]
    async fn an_unknown_name_and_a_wrong_password_cost_the_same_work() {
        let (figures, pool) = pool();
        let hash = pool.hash("correct horse battery".to_owned()).await.unwrap();
        let before = figures.hashes();
        assert!(!pool.are_same("wrong".to_owned(), Some(hash.clone())).await.unwrap());
        let wrong = figures.hashes() - before;
        assert!(!pool.are_same("wrong".to_owned(), None).await.unwrap());
        assert_eq!((wrong, figures.hashes() - before), (1, 2));
        assert!(pool.are_same("correct horse battery".to_owned(), Some(hash.clone())).await.unwrap());
        let parameters = |hash: &str| hash.rsplitn(3, '$').nth(2).unwrap().to_owned();
        assert_eq!(parameters(&nobodys_hash()), parameters(&hash));
    }

    #[tokio::test]
    async fn however_many_come_at_once_two_are_hashed_and_the_queue_has_an_end() {
        let (figures, pool) = pool();
        let all: Vec<_> = (0..200)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.are_same("wrong".to_owned(), None).await })
            })
            .collect();
        let (mut looked_at, mut refused) = (0, 0);
        for one in all {
            match one.await.unwrap() {
                Ok(same) => {
                    assert!(!same);
                    looked_at += 1;
                }
                Err(problem) => {
                    assert!([Kind::RateLimited, Kind::Unavailable].contains(&problem.kind), "{problem:?}");
                    assert!(problem.retry_after_s.is_some());
                    refused += 1;
                }
            }
        }
        assert_eq!(looked_at + refused, 200);
        assert!(refused > 0 && looked_at >= 2, "{looked_at} were looked at, {refused} refused");
        assert!(figures.hashing_max() <= 2);
    }

    #[test]
    fn a_password_is_long_enough_and_not_the_name() {
        let check = |password: &str| check(password, "anna.the.gatekeeper@venue.example");
        assert_eq!(check("correct horse battery"), Ok(()));
        assert_eq!(check(&"ü".repeat(CHARS_MIN)), Ok(()), "characters count, not bytes");
        assert_eq!(check(&"x".repeat(CHARS_MAX)), Ok(()));
        for wrong in [
            "",
            "eleven char",
            &"x".repeat(CHARS_MAX + 1),
            "Anna.The.Gatekeeper@venue.example",
            "anna.the.gatekeeper",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
