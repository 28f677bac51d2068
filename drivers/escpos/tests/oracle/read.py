"""What zxing-cpp reads in pictures: for each file a line with the symbology and the data in hex."""
import sys

import zxingcpp
from PIL import Image

for path in sys.argv[1:]:
    found = zxingcpp.read_barcodes(Image.open(path))
    print(" ".join(f"{code.format.name}:{bytes(code.bytes).hex()}" for code in found) or "nothing")
