namespace Slipway.Tests.Harness;

/// <summary>Subnets for networks that tests make, apart from those of other checkouts' tests that run at the same time.</summary>
public static class TestSubnet
{
    private static int s_last;

    /// <summary>The first three bytes of a /24: <c>10.a.b</c>.</summary>
    public static string Next() => $"10.{220 + (Environment.ProcessId % 30)}.{(Environment.ProcessId / 30 * 17 + Interlocked.Increment(ref s_last)) % 256}";
}
