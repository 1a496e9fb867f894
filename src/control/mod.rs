//! stub
pub mod ports;
pub mod demo_origin {
    pub async fn serve(_l: tokio::net::TcpListener, _s: tokio::sync::watch::Receiver<bool>) {}
}
pub mod logs {
    pub async fn run(
        _r: Vec<crate::observe::queue::RecordReceiver>,
        _s: crate::observe::access_log::Spec,
        _w: tokio::sync::watch::Receiver<bool>,
    ) {
    }
}
pub mod resolve {
    pub struct Resolution {
        pub host: String,
        pub addresses: Vec<std::net::IpAddr>,
    }
    pub async fn run(
        _h: Vec<String>,
        _p: impl Fn(Resolution) + Send + 'static,
        _s: tokio::sync::watch::Receiver<bool>,
    ) {
    }
    pub async fn resolve_all_once(_h: &[String], _t: std::time::Duration) -> Vec<Resolution> {
        vec![]
    }
}
pub mod runtime_log {
    pub fn init(_l: &str, _j: bool) {}
}
