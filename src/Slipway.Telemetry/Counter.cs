namespace Slipway.Telemetry;

/// <summary>A number that only grows, from any thread.</summary>
public sealed class Counter
{
    private long _value;

    public long Value => Interlocked.Read(ref _value);

    public void Increment() => Interlocked.Increment(ref _value);

    /// <summary>Its family with its one sample.</summary>
    public void Write(PrometheusText text, string name, string help)
    {
        text.Family(name, "counter", help);
        text.Sample(name, Value);
    }
}
