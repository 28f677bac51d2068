//! The glass of a display: cells, cursor, what happens at a line's end. Knows no command.

use crate::code_page::Page;

/// Characters of a line.
pub const COLUMNS: usize = 20;
/// Lines.
pub const LINES: usize = 2;

/// What a character past a line's end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrolling {
    /// The cursor goes on at the next line, and from the last one to the first.
    Overwrite,
    /// Past the last line the lower line moves up.
    Vertical,
    /// The line moves left under the cursor.
    Horizontal,
}

/// What is to be seen on a display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    cells: [[char; COLUMNS]; LINES],
    /// 0 is the upper line.
    line: usize,
    /// `column <= COLUMNS`: at `COLUMNS` the next character is past the end.
    column: usize,
    /// What a character past a line's end does.
    pub scrolling: Scrolling,
    /// Is the cursor to be seen?
    pub cursor: bool,
    /// 1 to 4.
    pub brightness: u8,
    /// Blinks every so many ms; `None`: it does not.
    pub blink_ms: Option<u32>,
    /// Which of the lines blink by themselves.
    pub blinking: [bool; LINES],
    /// A text that runs through a line: which line, and the text.
    pub running: Option<(usize, String)>,
    /// The device shows something of its own: version, clock.
    pub special: Option<String>,
    pub(super) page: Page,
    /// Columns and lines that writing and scrolling stay within: from, to (both in it).
    window: Option<(usize, usize)>,
}

impl Screen {
    pub(super) fn new() -> Screen {
        Screen {
            cells: [[' '; COLUMNS]; LINES],
            line: 0,
            column: 0,
            scrolling: Scrolling::Overwrite,
            cursor: false,
            brightness: 4,
            blink_ms: None,
            blinking: [false; LINES],
            running: None,
            special: None,
            page: Page::default(),
            window: None,
        }
    }

    /// A line's 20 characters; 0 is the upper one.
    pub fn line(&self, line: usize) -> String {
        self.cells[line].iter().collect()
    }

    /// Both lines.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.line(0), self.line(1))
    }

    /// Line and column, both from 0; column 20 is past the end.
    pub fn cursor_at(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    pub(super) fn clear(&mut self) {
        self.cells = [[' '; COLUMNS]; LINES];
        self.running = None;
        self.special = None;
        self.home();
    }

    pub(super) fn home(&mut self) {
        (self.line, self.column) = (0, 0);
    }

    pub(super) fn bottom(&mut self) {
        (self.line, self.column) = (LINES - 1, COLUMNS - 1);
    }

    pub(super) fn line_start(&mut self) {
        self.column = 0;
    }

    pub(super) fn line_end(&mut self) {
        self.column = COLUMNS - 1;
    }

    pub(super) fn clear_line(&mut self) {
        self.cells[self.line] = [' '; COLUMNS];
        self.column = 0;
    }

    /// Columns from 1, lines from 1, as commands count.
    pub(super) fn place(&mut self, x: u8, y: u8) -> Result<(), String> {
        let (column, line) = (usize::from(x), usize::from(y));
        if !(1..=COLUMNS).contains(&column) {
            return Err(format!("column {x} is not 1 to {COLUMNS}"));
        }
        if !(1..=LINES).contains(&line) {
            return Err(format!("line {y} is not 1 to {LINES}"));
        }
        (self.line, self.column) = (line - 1, column - 1);
        Ok(())
    }

    /// By one number for the whole screen, from 0.
    pub(super) fn place_at(&mut self, position: u8) -> Result<(), String> {
        let position = usize::from(position);
        if position >= COLUMNS * LINES {
            return Err(format!("position {position} is not below {}", COLUMNS * LINES));
        }
        (self.line, self.column) = (position / COLUMNS, position % COLUMNS);
        Ok(())
    }

    pub(super) fn left(&mut self) {
        match self.column {
            0 if self.line > 0 => (self.line, self.column) = (self.line - 1, COLUMNS - 1),
            0 if self.scrolling == Scrolling::Overwrite => self.bottom(),
            column => self.column = column.saturating_sub(1),
        }
    }

    pub(super) fn right(&mut self) {
        self.column += 1;
        self.wrap();
    }

    pub(super) fn up(&mut self) {
        match (self.scrolling, self.line) {
            (Scrolling::Vertical, 0) => {
                self.cells[1] = self.cells[0];
                self.cells[0] = [' '; COLUMNS];
            }
            (_, line) => self.line = (line + LINES - 1) % LINES,
        }
    }

    pub(super) fn down(&mut self) {
        match (self.scrolling, self.line) {
            (Scrolling::Vertical, 1) => self.scroll_up(),
            (_, line) => self.line = (line + 1) % LINES,
        }
    }

    /// Shows a byte at the cursor.
    pub(super) fn show(&mut self, byte: u8) {
        self.special = None;
        if self.running.as_ref().is_some_and(|(line, _)| *line == self.line) {
            self.running = None;
        }
        let (from, to) = self.window.unwrap_or((0, COLUMNS - 1));
        if self.column > to {
            self.past_the_end(from, to);
        }
        self.cells[self.line][self.column] = self.page.show(byte);
        self.column += 1;
        self.wrap();
    }

    pub(super) fn show_all(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.show(*byte);
        }
    }

    /// A whole line: what is shorter is filled with blanks. Cursor and window have no part in it.
    pub(super) fn set_line(&mut self, line: usize, bytes: &[u8]) {
        self.special = None;
        if self.running.as_ref().is_some_and(|(running, _)| *running == line) {
            self.running = None;
        }
        let shown = bytes.iter().map(|byte| self.page.show(*byte));
        let filled = shown.chain(std::iter::repeat(' '));
        for (cell, character) in self.cells[line].iter_mut().zip(filled) {
            *cell = character;
        }
    }

    /// A text that runs through a line.
    pub(super) fn run_line(&mut self, line: usize, bytes: &[u8]) {
        self.set_line(line, bytes);
        let text = bytes.iter().map(|byte| self.page.show(*byte)).collect();
        self.running = Some((line, text));
    }

    /// `ESC W`: columns of a window, from 1, or none.
    pub(super) fn set_window(&mut self, columns: Option<(u8, u8)>) -> Result<(), String> {
        self.window = match columns {
            Some((from, to)) if from >= 1 && from <= to && usize::from(to) <= COLUMNS => {
                Some((usize::from(from - 1), usize::from(to - 1)))
            }
            Some((from, to)) => return Err(format!("a window from column {from} to {to} cannot be")),
            None => None,
        };
        Ok(())
    }

    /// Where characters are overwritten the cursor goes on at once; where they scroll it waits for the next one.
    fn wrap(&mut self) {
        if self.column >= COLUMNS && self.scrolling == Scrolling::Overwrite {
            (self.line, self.column) = ((self.line + 1) % LINES, 0);
        }
        self.column = self.column.min(COLUMNS);
    }

    fn past_the_end(&mut self, from: usize, to: usize) {
        match (self.scrolling, self.line) {
            (Scrolling::Horizontal, line) => {
                self.cells[line].copy_within(from + 1..=to, from);
                self.column = to;
            }
            (Scrolling::Vertical, 1) => {
                self.scroll_up();
                self.column = from;
            }
            (_, line) => (self.line, self.column) = ((line + 1) % LINES, from),
        }
    }

    fn scroll_up(&mut self) {
        self.cells[0] = self.cells[1];
        self.cells[1] = [' '; COLUMNS];
    }
}
