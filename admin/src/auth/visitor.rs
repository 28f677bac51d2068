//! Who knocks, before anybody knows who it is: address, program, cookies; and the cookies that are given. Knows no session.

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, header};
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
    /// Where from.
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
        let address = address(&parts.extensions, &parts.headers);
        Ok(Visitor::of(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), &parts.headers))
    }
}

/// Where a request comes from. What a proxy on this machine says is believed, what anybody else says is not.
pub fn address(extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
    Some(forwarded(peer, headers).unwrap_or(peer))
}

fn forwarded(peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
    // The last address is the one our own proxy saw; those before it are what it was told.
    let last = headers.get_all("x-forwarded-for").iter().next_back().filter(|_| peer.is_loopback())?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

impl Visitor {
    fn of(address: IpAddr, headers: &HeaderMap) -> Visitor {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let agent = text("user-agent").chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect();
        Visitor {
            address,
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

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_proxy_on_this_machine_is_believed_and_only_what_it_saw_itself() {
        let of = |peer: &str, told: &str| {
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            address(&extensions, &headers(&[("x-forwarded-for", told)])).unwrap().to_string()
        };
        let told = "203.0.113.9, 192.0.2.7";
        assert_eq!(
            (of("127.0.0.1", told).as_str(), of("10.0.0.5", told).as_str()),
            ("192.0.2.7", "10.0.0.5")
        );
        assert_eq!(of("127.0.0.1", "nowhere"), "127.0.0.1");
    }

    #[test]
    fn cookies_are_found_among_others_and_given_to_nobody_elses_script() {
        let headers =
            headers(&[("cookie", "a=1; gatehouse_refresh=x.y.z;b=2"), ("x-forwarded-proto", "https")]);
        let visitor = Visitor::of(IpAddr::V4(Ipv4Addr::LOCALHOST), &headers);
        assert_eq!((visitor.refresh.as_deref(), visitor.browser.as_deref()), (Some("x.y.z"), None));
        let given = visitor.give(REFRESH_COOKIE, "x.y.z", Duration::from_secs(60));
        assert_eq!(
            given,
            "gatehouse_refresh=x.y.z; Path=/api/v1/auth; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
    }
}
