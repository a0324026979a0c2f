"""Pictures for the demo packages: a stage in its lights, drawn here, so that the repository holds no image files."""

import io

from PIL import Image, ImageDraw, ImageFilter, ImageFont

_SIZE = (1600, 900)


def stage_picture(title: str, *, colour: tuple[int, int, int]) -> bytes:
    """Return a JPEG of a stage in light of that colour with the title on its front."""
    width, height = _SIZE
    night = tuple(part // 6 for part in colour)
    shade = Image.linear_gradient("L").resize(_SIZE)
    picture = Image.composite(Image.new("RGB", _SIZE, colour), Image.new("RGB", _SIZE, night), shade)
    beams = Image.new("L", _SIZE, 0)
    draw = ImageDraw.Draw(beams)
    for lamp in range(5):
        x = width * (lamp + 0.5) / 5
        aim = width / 2 + (x - width / 2) * 0.35
        draw.polygon([(x - 14, 0), (x + 14, 0), (aim + 170, height * 0.74), (aim - 170, height * 0.74)], fill=70)
    picture = Image.composite(
        Image.new("RGB", _SIZE, (255, 244, 214)), picture, beams.filter(ImageFilter.GaussianBlur(18))
    )
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, int(height * 0.74), width, height), fill=tuple(part // 9 for part in colour))
    draw.text(
        (width / 2, height * 0.87), title, fill=(255, 250, 240), font=ImageFont.load_default(size=84), anchor="mm"
    )
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()
