//! The layout of written scenarios: groups of lines, each group on one line if it fits.

/// The largest width, in characters, of a group on one line.
const WIDTH: usize = 110;

/// A word, or a group of lines with the character that opens the group.
#[derive(Debug)]
enum Node {
    Word(String),
    Group(char, Vec<Vec<Self>>),
}

/// The lines of a text that is being written.
#[derive(Debug, Default)]
pub(crate) struct Page {
    lines: Vec<Vec<Node>>,
}

impl Page {
    pub(crate) fn word(&mut self, word: &str) {
        self.push(Node::Word(word.to_owned()));
    }

    /// Begins a line and writes it with `line`.
    pub(crate) fn line(&mut self, line: impl FnOnce(&mut Self)) {
        self.lines.push(Vec::new());
        line(self);
    }

    /// Writes a group, which `[` or `{` opens, with the lines that `inner` writes.
    pub(crate) fn group(&mut self, opens: char, inner: impl FnOnce(&mut Self)) {
        let mut page = Self::default();
        inner(&mut page);
        self.push(Node::Group(opens, page.lines));
    }

    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            render(line, 0, &mut text);
            text.push('\n');
        }
        text
    }

    fn push(&mut self, node: Node) {
        match self.lines.last_mut() {
            Some(line) => line.push(node),
            None => self.lines.push(vec![node]),
        }
    }
}

/// Returns the width of a line with all of its groups on it.
fn width(line: &[Node]) -> usize {
    let own = |node: &Node| match node {
        Node::Word(word) => word.chars().count() + 1,
        Node::Group(_, lines) => 4 + lines.iter().map(|line| width(line)).sum::<usize>(),
    };
    line.iter().map(own).sum()
}

fn render(line: &[Node], depth: usize, text: &mut String) {
    for (index, node) in line.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        match node {
            Node::Word(word) => text.push_str(word),
            Node::Group(opens, lines) => {
                let fits = width(std::slice::from_ref(node)) <= WIDTH;
                let go_on = |depth: usize, text: &mut String| match fits {
                    true => text.push(' '),
                    false => {
                        text.push('\n');
                        text.extend(std::iter::repeat_n("  ", depth));
                    }
                };
                text.push(*opens);
                for line in lines {
                    go_on(depth + 1, text);
                    render(line, depth + 1, text);
                }
                go_on(depth, text);
                text.push(if *opens == '[' { ']' } else { '}' });
            }
        }
    }
}
