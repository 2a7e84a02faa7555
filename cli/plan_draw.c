// SPDX-License-Identifier: BSD-2-Clause
/* Draws the rows of `plan`, as SVG: exceed and refused against the ratio, both axes logarithmic. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "plan_show.h"

#define WIDTH  640.0
#define HEIGHT 400.0
#define LEFT   70.0
#define RIGHT  20.0
#define TOP    40.0
#define BOTTOM 50.0
/* Shares from a thousandth of a percent to all; what is below lies on the lower edge. */
#define DECADES 5.0

static double at_x(const struct plan_result *r, double ratio)
{
	double from = log2(r->row[0].ratio), to = log2(r->row[r->n - 1].ratio);

	return LEFT + (WIDTH - LEFT - RIGHT) * (to > from ? (log2(ratio) - from) / (to - from) : 0.5);
}

static double at_y(double share)
{
	double decade = share > 0 ? log10(share) + DECADES : 0;

	decade = decade < 0 ? 0 : decade;
	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * decade / DECADES;
}

static void draw_axes(FILE *f, const struct plan_result *r)
{
	static const char *const shares[] = { "0.001%", "0.01%", "0.1%", "1%", "10%", "100%" };

	for (int i = 0; i <= (int)DECADES; i++) {
		double y = at_y(pow(10, i - DECADES));

		fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, y,
			WIDTH - RIGHT, y);
		fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, y + 4, shares[i]);
	}
	for (size_t i = 0; i < r->n; i++)
		fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%u</text>\n", at_x(r, r->row[i].ratio),
			HEIGHT - BOTTOM + 18, r->row[i].ratio);
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">subscribers of an outside address</text>\n",
		(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10);
}

typedef double (*share_of)(const struct plan_result *r, const struct planner_row *row);

static double refused_of(const struct plan_result *r, const struct planner_row *row)
{
	return planner_refused(row);
}

static void draw_line(FILE *f, const struct plan_result *r, share_of share, const char *colour)
{
	fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
	for (size_t i = 0; i < r->n; i++)
		fprintf(f, "%s%.1f,%.1f", i ? " " : "", at_x(r, r->row[i].ratio), at_y(share(r, &r->row[i])));
	fprintf(f, "\"/>\n");
	for (size_t i = 0; i < r->n; i++)
		fprintf(f,
			"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"><title>ratio %u, %u ports: "
			"%.4f%%</title></circle>\n",
			at_x(r, r->row[i].ratio), at_y(share(r, &r->row[i])), colour, r->row[i].ratio, r->row[i].ports,
			share(r, &r->row[i]) * 100);
}

static void draw(FILE *f, const struct plan_result *r)
{
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" "
		"font-size=\"12\">\n",
		WIDTH, HEIGHT);
	fprintf(f, "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
	draw_axes(f, r);
	draw_line(f, r, plan_row_exceed, "#1f77b4");
	fprintf(f, "<text x=\"%.1f\" y=\"22\" fill=\"#1f77b4\">subscribers with more sessions than ports%s</text>\n",
		LEFT, r->traffic ? "" : " (an assumption)");
	if (r->traffic) {
		draw_line(f, r, refused_of, "#d62728");
		fprintf(f, "<text x=\"%.1f\" y=\"22\" fill=\"#d62728\">sessions refused</text>\n", LEFT + 280);
	}
	if (r->options->settings.growth.block)
		fprintf(f, "<text x=\"%.1f\" y=\"36\">blocks grow by %u ports, %u times at most</text>\n", LEFT,
			r->options->settings.growth.block, r->options->settings.growth.max_blocks);
	if (r->traffic && r->options->target > 0)
		fprintf(f,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#d62728\" "
			"stroke-dasharray=\"4\"/>\n",
			LEFT, at_y(r->options->target), WIDTH - RIGHT, at_y(r->options->target));
	fprintf(f, "</svg>\n");
}

int plan_draw(const char *path, const struct plan_result *r, struct error *err)
{
	FILE *f = fopen(path, "we");
	bool failed;

	if (!f)
		return error_set(err, -errno, "--plot: %s: %s", path, strerror(errno));
	draw(f, r);
	failed = ferror(f);
	if (fclose(f) || failed)
		return error_set(err, errno ? -errno : -EIO, "--plot: %s: %s", path, strerror(errno ? errno : EIO));
	return 0;
}
