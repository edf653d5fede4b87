namespace Slipway.Tests.Fuzz.Cluster;

/// <summary>Votes of a cluster under everything that can happen to it: no block, number, subnet or name ever has two owners.</summary>
public sealed class VoteFuzz
{
    private const int Steps = 400;

    [Fact]
    public void Nothing_has_two_owners_whatever_is_cut_off_lost_late_or_restarted()
    {
        int owned = 0;
        foreach (int seed in FuzzRun.Rounds(secondsInCi: 3))
        {
            SimulatedCluster cluster = new(seed);
            try
            {
                for (int step = 0; step < Steps; step++)
                {
                    cluster.Step();
                }

                cluster.Heal();
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"SLIPWAY_FUZZ_SEED={seed}: {error.Message}", error);
            }

            owned += cluster.Owned;
        }

        Assert.NotEqual(0, owned);
    }
}
