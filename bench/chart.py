"""Draws log-log line charts as SVG, legible on light and on dark pages, with the name of each line at its end."""
import math

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 78, 212, 52, 56
# One hue a line, in a fixed order; the second of each pair is for dark pages. Shapes tell lines apart without colour.
COLOURS = [("#1f6fd0", "#6cb0ff"), ("#c2500a", "#ff9e57"), ("#17805b", "#4fd1a1"), ("#8a45c4", "#cd9bff"), ("#a3204f", "#ff86ac")]
MARKS = ["circle", "square", "diamond", "triangle", "cross"]
STYLE = """  <style>
    text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
    .title { font-size: 16px; font-weight: 600; }
    .quiet { fill: #57606a; }
    .grid { stroke: #d0d7de; stroke-width: 1; }
    .axis { stroke: #8c959f; stroke-width: 1; }
    .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
    .lead { stroke-width: 1; opacity: 0.5; fill: none; }
%s
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .quiet { fill: #9aa4af; }
      .grid { stroke: #30363d; }
      .axis { stroke: #6e7681; }
%s
    }
  </style>"""


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def figure(value):
    """A cost in ms as people say it."""
    if value < 1:
        return f"{value * 1000:.0f} µs" if value * 1000 >= 10 else f"{value * 1000:.1f} µs"
    return f"{value:.1f} ms" if value < 10 else (f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:.0f} s")


def tick(exponent):
    """10 to this power, in ms."""
    if exponent < 0:
        return f"{10 ** (exponent + 3):g} µs"
    return f"{10 ** exponent:g} ms" if exponent < 3 else f"{10 ** (exponent - 3):g} s"


def count(exponent):
    return f"{10 ** exponent:,}" if exponent < 4 else f'10<tspan dy="-5" font-size="10">{exponent}</tspan>'


def mark(shape, x, y, css):
    if shape == "circle":
        return f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    if shape == "square":
        return f'<rect class="{css}" x="{x - 3.6:.1f}" y="{y - 3.6:.1f}" width="7.2" height="7.2"/>'
    points = {"diamond": [(0, -5), (5, 0), (0, 5), (-5, 0)], "triangle": [(0, -5), (4.6, 3.6), (-4.6, 3.6)],
              "cross": [(-4, -1.4), (-1.4, -1.4), (-1.4, -4), (1.4, -4), (1.4, -1.4), (4, -1.4), (4, 1.4), (1.4, 1.4), (1.4, 4), (-1.4, 4), (-1.4, 1.4), (-4, 1.4)]}[shape]
    return f'<polygon class="{css}" points="{" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in points)}"/>'


def spread_apart(wanted, gap, low, high):
    """Places as near to the wanted ones as a gap between them allows, in the same order of size."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = [0.0] * len(wanted)
    at = low
    for i in order:
        places[i] = at = max(wanted[i], at)
        at += gap
    limit = high
    for i in reversed(order):
        places[i] = min(places[i], limit)
        limit = places[i] - gap
    return places


def draw(title, curves):
    """@param curves  dictionaries with name, x (what is counted) and points [[x, ms], …], all above zero."""
    curves = [{**one, "points": [(x, y) for x, y in one["points"] if x > 0 and y > 0]} for one in curves]
    curves = [one for one in curves if one["points"]][:len(COLOURS)]
    xs = [x for one in curves for x, _ in one["points"]]
    ys = [y for one in curves for _, y in one["points"]]
    x0, x1 = math.floor(math.log10(min(xs)) + 1e-9), max(math.ceil(math.log10(max(xs)) - 1e-9), math.floor(math.log10(min(xs)) + 1e-9) + 1)
    y0, y1 = math.floor(math.log10(min(ys)) + 1e-9), max(math.ceil(math.log10(max(ys)) - 1e-9), math.floor(math.log10(min(ys)) + 1e-9) + 1)

    def px(x):
        return LEFT + (math.log10(x) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)

    def py(y):
        return HEIGHT - BOTTOM - (math.log10(y) - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)

    light = "\n".join(f"    .s{i} {{ stroke: {COLOURS[i][0]}; }} .f{i} {{ fill: {COLOURS[i][0]}; }}" for i in range(len(curves)))
    dark = "\n".join(f"      .s{i} {{ stroke: {COLOURS[i][1]}; }} .f{i} {{ fill: {COLOURS[i][1]}; }}" for i in range(len(curves)))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">', STYLE % (light, dark),
           f'  <text class="title" x="{LEFT}" y="26">{escape(title)}</text>']
    bottom = HEIGHT - BOTTOM
    for e in range(y0, y1 + 1):
        y = py(10.0 ** e)
        out.append(f'  <line class="{"axis" if e == y0 else "grid"}" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        out.append(f'  <text class="quiet" x="{LEFT - 10}" y="{y + 4.5:.1f}" text-anchor="end">{tick(e)}</text>')
    for e in range(x0, x1 + 1):
        x = px(10.0 ** e)
        out.append(f'  <line class="axis" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}"/>')
        out.append(f'  <text class="quiet" x="{x:.1f}" y="{bottom + 22}" text-anchor="middle">{count(e)}</text>')
    out.append(f'  <text class="quiet" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(curves[0]["x"])}</text>')
    ends = [py(one["points"][-1][1]) for one in curves]
    places = spread_apart(ends, 34, TOP, bottom - 14)
    for i, one in enumerate(curves):
        line = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in one["points"])
        out.append(f'  <polyline class="line s{i}" points="{line}"/>')
        for x, y in one["points"]:
            out.append("  " + mark(MARKS[i], px(x), py(y), f"f{i}"))
        end_x, edge = px(one["points"][-1][0]), WIDTH - RIGHT
        out.append(f'  <path class="lead s{i}" d="M{end_x + 6:.1f},{ends[i]:.1f} L{edge + 4},{ends[i]:.1f} L{edge + 14},{places[i]:.1f}"/>')
        out.append("  " + mark(MARKS[i], edge + 22, places[i], f"f{i}"))
        out.append(f'  <text x="{edge + 32}" y="{places[i] + 1:.1f}">{escape(one["name"])}</text>')
        out.append(f'  <text class="quiet" x="{edge + 32}" y="{places[i] + 16:.1f}" font-size="11">{figure(one["points"][0][1])} to {figure(one["points"][-1][1])}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
