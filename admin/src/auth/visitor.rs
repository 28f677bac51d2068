//! Who knocks, before anybody knows who it is: address, program, cookies; and the cookies that are given. Knows no session.

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Cookie with the refresh token.
pub const REFRESH_COOKIE: &str = "gatehouse_refresh";
/// Cookie of a browser that has signed in before.
pub const BROWSER_COOKIE: &str = "gatehouse_browser";
/// Both are sent to the paths of signing in and to no other.
const COOKIE_PATH: &str = "/api/v1/auth";
/// Characters that are kept of what a program calls itself.
const AGENT_CHARS_MAX: usize = 120;

/// Who knocks.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Where from. What a proxy on this machine says is believed, what anybody else says is not.
    pub address: IpAddr,
    /// What the program calls itself, shortened.
    pub agent: String,
    /// The refresh token, if one was sent.
    pub refresh: Option<String>,
    /// The browser's cookie, if one was sent.
    pub browser: Option<String>,
    over_tls: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Visitor, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical());
        Ok(Visitor::of(peer, &parts.headers))
    }
}

impl Visitor {
    fn of(peer: IpAddr, headers: &HeaderMap) -> Visitor {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // The last address is the one our own proxy saw; those before it are what it was told.
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
        let forwarded =
            forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        let agent = text("user-agent").chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect();
        Visitor {
            address: forwarded.filter(|_| peer.is_loopback()).unwrap_or(peer),
            agent,
            refresh: cookie(headers, REFRESH_COOKIE),
            browser: cookie(headers, BROWSER_COOKIE),
            over_tls: text("x-forwarded-proto").eq_ignore_ascii_case("https"),
        }
    }

    /// A cookie for this visitor: no script reads it, no other site sends it.
    pub fn give(&self, name: &str, value: &str, lives: Duration) -> HeaderValue {
        let secure = if self.over_tls { "; Secure" } else { "" };
        let (path, seconds) = (COOKIE_PATH, lives.as_secs());
        let text =
            format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&text)
            .expect("values of cookies are letters, digits, dots, dashes and underscores")
    }

    /// Takes a cookie back.
    pub fn take_back(&self, name: &str) -> HeaderValue {
        self.give(name, "", Duration::ZERO)
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(peer: &str, headers: &[(&'static str, &str)]) -> Visitor {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Visitor::of(peer.parse().unwrap(), &pairs.collect::<HeaderMap>())
    }

    #[test]
    fn only_a_proxy_on_this_machine_is_believed_and_only_what_it_saw_itself() {
        let headers = [("x-forwarded-for", "203.0.113.9, 192.0.2.7")];
        let address = |peer: &str| visitor(peer, &headers).address.to_string();
        assert_eq!((address("127.0.0.1").as_str(), address("10.0.0.5").as_str()), ("192.0.2.7", "10.0.0.5"));
        let garbage = visitor("127.0.0.1", &[("x-forwarded-for", "nowhere")]);
        assert_eq!(garbage.address.to_string(), "127.0.0.1");
    }

    #[test]
    fn cookies_are_found_among_others_and_given_to_nobody_elses_script() {
        let headers = [("cookie", "a=1; gatehouse_refresh=x.y.z;b=2"), ("x-forwarded-proto", "https")];
        let visitor = visitor("127.0.0.1", &headers);
        assert_eq!((visitor.refresh.as_deref(), visitor.browser.as_deref()), (Some("x.y.z"), None));
        let given = visitor.give(REFRESH_COOKIE, "x.y.z", Duration::from_secs(60));
        assert_eq!(
            given,
            "gatehouse_refresh=x.y.z; Path=/api/v1/auth; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
    }
}
