//! What evaluating an expression allocates, counted: nothing, where the value is a part of the message or the expression.
//!
//! A binary of its own, since the counter is the process's allocator.

use ringway::expr::{Attribute, Scope, Template, Tree, Value, View};
use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator with what it was given; the counter is a constant-initialised cell of
// this thread, which allocates nothing and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Exchange {
    claims: Tree,
}

impl View for Exchange {
    fn text(&self, attribute: Attribute) -> Option<Cow<'_, [u8]>> {
        let text: &[u8] = match attribute {
            Attribute::QueryString => b"a=1&size=m&name=J%C3%BCrgen",
            _ => b"GET",
        };
        Some(Cow::Borrowed(text))
    }

    fn header<'v>(&'v self, name: &str, visit: &mut dyn FnMut(&'v [u8])) {
        if name == "x-forwarded-for" {
            visit(b"203.0.113.9, 198.51.100.7");
        }
    }

    fn headers<'v>(&'v self, _: &mut dyn FnMut(&'v [u8], &'v [u8])) {}

    fn var(&self, _: &'static str) -> Value<'_> {
        Value::from(&self.claims)
    }

    fn random(&self) -> u64 {
        7
    }
}

const SCOPE: Scope = Scope {
    vars: &["claimSet"],
    ..Scope::REQUEST
};

fn allocations(expression: &str) -> usize {
    let template = Template::parse(expression, &SCOPE).expect(expression);
    let exchange = Exchange {
        claims: Tree::object([(
            "aud",
            Tree::array(vec![Tree::string("shop"), Tree::string("stock")]),
        )]),
    };
    let before = ALLOCATIONS.get();
    let text = template.text(&exchange).expect(expression);
    let counted = ALLOCATIONS.get() - before;
    drop(text);
    counted
}

#[test]
fn parts_of_the_message_are_not_copied() {
    for expression in [
        "literal",
        "#['literal']",
        "#[attributes.headers['x-forwarded-for']]",
        "#[attributes.headers['x-none'] default attributes.method]",
        "#[attributes.queryParams.size]",
        "#[splitBy(attributes.headers['x-forwarded-for'], ',')[0]]",
        "#[trim((attributes.headers['x-forwarded-for'] splitBy ',')[-1])]",
        "#[attributes.headers['x-forwarded-for'] substringBefore ',']",
        "#[if (['GET', 'HEAD'] contains attributes.method) 'read' else 'write']",
        "#[sizeOf(attributes.headers['x-forwarded-for'] splitBy ',') >= 2 and attributes.method == 'GET']",
        "#[vars.claimSet.aud contains 'stock']",
        "#[not (attributes.headers['x-none'] contains 'a')]",
    ] {
        assert_eq!(allocations(expression), 0, "{expression}");
    }
}

/// That the counter counts.
#[test]
fn texts_that_are_made_are_allocated() {
    for expression in [
        "#[attributes.method ++ 'x']",
        "#[attributes.queryParams.name]",
        "#[lower(attributes.method)]",
        "#[uuid()]",
    ] {
        assert_eq!(allocations(expression), 1, "{expression}");
    }
}
