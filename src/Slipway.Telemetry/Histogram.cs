namespace Slipway.Telemetry;

/// <summary>How often something took how long, recorded from any thread.</summary>
/// <param name="bounds">Upper bounds in seconds, ascending; the last bucket is without one.</param>
public sealed class Histogram(double[] bounds)
{
    private readonly long[] _buckets = new long[bounds.Length + 1];
    private long _microseconds;

    public void Record(TimeSpan duration)
    {
        int bucket = Array.FindIndex(bounds, bound => duration.TotalSeconds <= bound);
        Interlocked.Increment(ref _buckets[bucket < 0 ? bounds.Length : bucket]);
        Interlocked.Add(ref _microseconds, (long)duration.TotalMicroseconds);
    }

    /// <summary>Its samples, each with these labels; the family is begun by the caller.</summary>
    public void Write(PrometheusText text, string name, params ReadOnlySpan<(string Name, string Value)> labels)
    {
        long count = 0;
        for (int i = 0; i < _buckets.Length; i++)
        {
            count += Interlocked.Read(ref _buckets[i]);
            text.Sample(name + "_bucket", count, [.. labels, ("le", i < bounds.Length ? PrometheusText.Number(bounds[i]) : "+Inf")]);
        }

        text.Sample(name + "_sum", Interlocked.Read(ref _microseconds) / 1_000_000.0, labels);
        text.Sample(name + "_count", count, labels);
    }
}
