//! Tables: two spaces between columns, no lines, the right-most columns drop when the terminal is narrow.

use super::Look;
use super::colour::Paint;

/// A table that is filled row by row.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    keep: usize,
    indent: usize,
}

#[derive(Debug)]
struct Column {
    title: &'static str,
    right: bool,
}

/// A text and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// A cell in colour.
    pub(crate) fn painted(text: impl Into<String>, paint: impl Into<Paint>) -> Self {
        Self { text: text.into(), paint: paint.into() }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), paint: Paint::Plain }
    }
}

impl Table {
    /// Columns by title; a title that begins with `>` makes its column stand to the right.
    pub(crate) fn new(titles: &[&'static str]) -> Self {
        let column = |title: &&'static str| Column {
            title: title.strip_prefix('>').unwrap_or(title),
            right: title.starts_with('>'),
        };
        Self { columns: titles.iter().map(column).collect(), rows: Vec::new(), keep: 1, indent: 0 }
    }

    /// Never drops the first `keep` columns.
    pub(crate) fn keep(mut self, keep: usize) -> Self {
        self.keep = keep;
        self
    }

    /// Begins each line with so many spaces.
    pub(crate) fn indent(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut cells: Vec<Cell> = cells.into_iter().collect();
        cells.resize_with(self.columns.len(), || Cell::from(""));
        self.rows.push(cells);
    }

    /// The table as text, with titles unless all are empty.
    pub(crate) fn text(&self, look: &Look) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|at| self.width(at)).collect();
        let shown = self.fitting(&widths, look.width);
        let mut text = String::new();
        if self.columns.iter().any(|column| !column.title.is_empty()) {
            let titles = self.columns.iter().map(|column| Cell::painted(column.title, Paint::Bold));
            text += &self.line(&titles.collect::<Vec<_>>(), &widths[..shown], look);
        }
        for row in &self.rows {
            text += &self.line(row, &widths[..shown], look);
        }
        text
    }

    fn width(&self, at: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[at].text.chars().count());
        cells.chain([self.columns[at].title.chars().count()]).max().unwrap_or(0)
    }

    /// How many columns there is room for.
    fn fitting(&self, widths: &[usize], room: Option<usize>) -> usize {
        let Some(room) = room else { return widths.len() };
        let mut used = self.indent;
        for (at, width) in widths.iter().enumerate() {
            used += width + if at == 0 { 0 } else { 2 };
            if used > room && at >= self.keep {
                return at;
            }
        }
        widths.len()
    }

    fn line(&self, cells: &[Cell], widths: &[usize], look: &Look) -> String {
        let last = cells[..widths.len()].iter().rposition(|cell| !cell.text.is_empty());
        let mut line = " ".repeat(self.indent);
        for (at, width) in widths.iter().enumerate().take(last.map_or(0, |last| last + 1)) {
            let cell = &cells[at];
            let padding = " ".repeat(width - cell.text.chars().count());
            let painted = look.paint(cell.paint, &cell.text);
            if at > 0 {
                line += "  ";
            }
            match (self.columns[at].right, Some(at) == last) {
                (true, _) => line += &(padding + &painted),
                (false, true) => line += &painted,
                (false, false) => line += &(painted + &padding),
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", ">ITEMS", "STATE"]).keep(2);
        table.row(["shop".into(), "4,118".into(), Cell::painted("agreed", Paint::Ok)]);
        table.row(["tls-certs".into(), "4".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        let expected = "\
NAME       ITEMS  STATE
shop       4,118  agreed
tls-certs      4
";
        assert_eq!(sample().text(&Look::plain()), expected);
    }

    #[test]
    fn right_columns_drop_when_there_is_no_room() {
        let narrow = |width| sample().text(&Look { width: Some(width), ..Look::plain() });
        assert_eq!(narrow(24).lines().next(), Some("NAME       ITEMS  STATE"));
        assert_eq!(narrow(23).lines().next(), Some("NAME       ITEMS"));
        assert_eq!(narrow(3).lines().next(), Some("NAME       ITEMS"));
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let text = sample().text(&Look { colour: true, ..Look::plain() });
        assert!(text.contains("4,118  \u{1b}[32magreed\u{1b}[0m\n"), "{text:?}");
    }
}
