"""Documents as python-escpos encodes them: one name and its bytes in hex a line."""
import contextlib
import sys

from escpos.printer import Dummy


def printer():
    return Dummy(profile="TM-T20II")


def text():
    p = printer()
    p.text("Gate 7\n")
    p.text("Zürich\n")
    p.text("Москва\n")
    return p


def styles():
    p = printer()
    p.set(bold=True, underline=1, invert=True, custom_size=True, width=2, height=3, font="b", align="center")
    p.text("Loud\n")
    p.set(bold=False, underline=0, invert=False, custom_size=True, width=1, height=1, font="a", align="right")
    p.text("quiet\n")
    return p


def qr():
    p = printer()
    p.qr("TICKET-0001-ABCDEF", ec=1, size=6, native=True)
    p.qr("x" * 800, ec=3, size=3, native=True)
    return p


def barcodes():
    p = printer()
    for kind, data in (("EAN13", "6291041500213"), ("CODE39", "GATE-7"), ("CODE128", "{BGate 7"), ("ITF", "123456"),
                       ("UPC-A", "036000291452"), ("EAN8", "96385074")):
        p.barcode(data, kind, height=80, width=3, pos="BELOW", function_type="B", align_ct=False)
    return p


def cut():
    p = printer()
    p.cut(mode="FULL")
    p.cut(mode="PART")
    return p


def drawer():
    p = printer()
    p.cashdraw([27, 112, 0, 50, 100])
    return p


for document in (text, styles, qr, barcodes, cut, drawer):
    with contextlib.redirect_stdout(sys.stderr):  # it talks while it encodes
        output = document().output
    print(document.__name__, output.hex())
