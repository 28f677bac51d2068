//! Code pages read back: which character a device shows for a byte. Tables as the Unicode consortium publishes them.
//! Knows no device's own numbering beyond the one all ESC/POS devices share (`page_of_number`).

/// A code page by its usual number: 437, 858, 1252.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page(u16);

impl Page {
    /// A page this crate has a table of.
    pub fn new(number: u16) -> Option<Page> {
        upper(number).map(|_| Page(number))
    }

    /// What a device shows for a byte that is no command; U+FFFD where the page has nothing.
    pub fn show(self, byte: u8) -> char {
        if byte < 0x80 {
            return char::from(byte);
        }
        let index = usize::from(byte - 0x80);
        upper(self.0).and_then(|upper| upper.chars().nth(index)).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

impl Default for Page {
    /// What a device has when it is switched on.
    fn default() -> Page {
        Page(437)
    }
}

/// The page that `ESC t n` chooses on printers and displays alike (the makers' manuals agree on these).
pub fn page_of_number(n: u8) -> Option<Page> {
    let number = match n {
        0 => 437,
        2 => 850,
        3 => 860,
        4 => 863,
        5 => 865,
        16 => 1252,
        17 => 866,
        18 => 852,
        19 => 858,
        _ => return None,
    };
    Page::new(number)
}

fn upper(number: u16) -> Option<&'static str> {
    Some(match number {
        437 => UPPER_437,
        850 => UPPER_850,
        852 => UPPER_852,
        858 => UPPER_858,
        860 => UPPER_860,
        863 => UPPER_863,
        865 => UPPER_865,
        866 => UPPER_866,
        1252 => UPPER_1252,
        _ => return None,
    })
}

const UPPER_437: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ",
    "áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);
const UPPER_850: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒ",
    "áíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐",
    "└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀",
    "ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
);
const UPPER_852: &str = concat!(
    "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×č",
    "áíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐",
    "└┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀",
    "ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{ad}˝˛ˇ˘§÷¸°¨˙űŘř■\u{a0}",
);
const UPPER_858: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒ",
    "áíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐",
    "└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈ€ÍÎÏ┘┌█▄¦Ì▀",
    "ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
);
const UPPER_860: &str = concat!(
    "ÇüéâãàÁçêÊèÍÔìÃÂÉÀÈôõòÚùÌÕÜ¢£Ù₧Ó",
    "áíóúñÑªº¿Ò¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);
const UPPER_863: &str = concat!(
    "ÇüéâÂà¶çêëèïî‗À§ÉÈÊôËÏûù¤ÔÜ¢£ÙÛƒ",
    "¦´óú¨¸³¯Î⌐¬½¼¾«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);
const UPPER_865: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø₧ƒ",
    "áíóúñÑªº¿⌐¬½¼¡«¤░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);
const UPPER_866: &str = concat!(
    "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "абвгдежзийклмноп░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "рстуфхцчшщъыьэюяЁёЄєЇїЎў°∙·√№¤■\u{a0}",
);
const UPPER_1252: &str = concat!(
    "€\u{fffd}‚ƒ„…†‡ˆ‰Š‹Œ\u{fffd}Ž\u{fffd}\u{fffd}‘’“”•–—˜™š›œ\u{fffd}žŸ",
    "\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿",
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß",
    "àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_another_letter_in_each_page() {
        let show = |number, byte| Page::new(number).unwrap().show(byte);
        assert_eq!(show(437, 0x81), 'ü');
        assert_eq!(show(850, 0xd5), 'ı');
        assert_eq!(show(858, 0xd5), '€');
        assert_eq!(show(852, 0xa5), 'ą');
        assert_eq!(show(866, 0x84), 'Д');
        assert_eq!(show(1252, 0x80), '€');
        assert_eq!(show(1252, 0x81), char::REPLACEMENT_CHARACTER);
        assert_eq!(show(437, b'A'), 'A');
    }

    #[test]
    fn every_table_is_whole() {
        for number in [437, 850, 852, 858, 860, 863, 865, 866, 1252] {
            assert_eq!(upper(number).unwrap().chars().count(), 128, "{number}");
        }
        assert!(Page::new(932).is_none());
        assert!(page_of_number(1).is_none());
    }
}
