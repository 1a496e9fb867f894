//! stub
pub enum Readiness {
    Starting,
    Ready,
    Draining,
}
pub struct AdminState;
impl AdminState {
    pub fn new() -> Self {
        Self
    }
    pub fn set(&self, _r: Readiness) {}
}
pub async fn serve(
    _l: tokio::net::TcpListener,
    _s: std::sync::Arc<AdminState>,
    _w: tokio::sync::watch::Receiver<bool>,
) {
}
