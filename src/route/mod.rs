//! Address + base path + rules → route.

pub struct Table<A, R> {
    apis: Vec<(A, R)>,
}
impl<A, R> std::fmt::Debug for Table<A, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.apis.len())
    }
}
