using Slipway.Telemetry;
using Xunit;

namespace Slipway.Tests.Unit.Telemetry;

public sealed class PrometheusTests
{
    [Fact]
    public void A_family_has_its_help_its_type_and_its_samples()
    {
        PrometheusText text = new();
        text.Family("a_total", "counter", "What a is.");
        text.Sample("a_total", 1.5);
        text.Sample("a_total", 3_872_657_408, ("kind", "x"), ("path", "C:\\dir \"quoted\"\nnext"));
        Assert.Equal("# HELP a_total What a is.\n# TYPE a_total counter\na_total 1.5\na_total{kind=\"x\",path=\"C:\\\\dir \\\"quoted\\\"\\nnext\"} 3872657408\n", text.ToString());
    }

    [Fact]
    public void Buckets_are_cumulative_and_include_their_bound()
    {
        Histogram histogram = new([0.1, 1]);
        foreach (int milliseconds in (ReadOnlySpan<int>)[50, 100, 101, 5000])
        {
            histogram.Record(TimeSpan.FromMilliseconds(milliseconds));
        }

        PrometheusText text = new();
        histogram.Write(text, "t_seconds", ("of", "x"));
        Assert.Equal(
            "t_seconds_bucket{of=\"x\",le=\"0.1\"} 2\nt_seconds_bucket{of=\"x\",le=\"1\"} 3\nt_seconds_bucket{of=\"x\",le=\"+Inf\"} 4\nt_seconds_sum{of=\"x\"} 5.251\nt_seconds_count{of=\"x\"} 4\n",
            text.ToString());
    }

    [Fact]
    public void A_histogram_may_have_no_labels()
    {
        PrometheusText text = new();
        new Histogram([1]).Write(text, "t_seconds");
        Assert.Equal("t_seconds_bucket{le=\"1\"} 0\nt_seconds_bucket{le=\"+Inf\"} 0\nt_seconds_sum 0\nt_seconds_count 0\n", text.ToString());
    }
}
