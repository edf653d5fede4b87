using Slipway.Kernel.Files;
using Slipway.Runtime.Supervision;
using Slipway.Runtime.Supervision.Host;
using Xunit;

namespace Slipway.Tests.Unit.Supervision;

public sealed class ExitJournalTests : IDisposable
{
    private static readonly DateTimeOffset s_time = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-journal-").FullName;
    private readonly EventLoop _loop = new(TimeProvider.System);

    public void Dispose()
    {
        _loop.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public void Exits_and_running_processes_are_found_again_in_the_order_of_their_end()
    {
        using (ExitJournal journal = Open("boot"))
        {
            Assert.Empty(journal.Recovered);
            for (int i = 0; i < 200; i++)
            {
                journal.Reserve($"id{i}");
                journal.Start($"id{i}", i % 2 == 0 ? null : "container", 1000 + i, 7);
            }

            for (int i = 199; i >= 2; i--)
            {
                journal.Record(new ProcessExit($"id{i}", i % 2 == 0 ? null : "container", i % 256, 0, s_time.AddSeconds(-i)), () => { });
            }

            journal.Release("id5");
        }

        using ExitJournal next = Open("boot");
        Assert.False(next.IsFromEarlierBoot);
        Assert.Equal(199, next.Recovered.Count);
        Assert.Equal(new JournalEntry("id0", null, 1000, 7, null), next.Recovered.Single(entry => entry.Id == "id0"));
        JournalEntry ended = next.Recovered.Single(entry => entry.Id == "id7");
        Assert.Equal(new ProcessExit("id7", "container", 7, 0, s_time.AddSeconds(-7)), ended.Exit);
        ProcessExit[] exits = [.. next.Recovered.Select(entry => entry.Exit).OfType<ProcessExit>()];
        Assert.Equal(exits.OrderBy(exit => exit.ExitedAt), exits);
        Assert.DoesNotContain(next.Recovered, entry => entry.Id == "id5");
    }

    [Fact]
    public void A_record_is_reported_after_it_was_synced_by_the_loop()
    {
        using ExitJournal journal = Open("boot");
        journal.Reserve("a");
        journal.Record(new ProcessExit("a", null, 1, 0, s_time), _loop.Stop);
        _loop.Run();
        Assert.Equal(1, Reopened()["a"].Exit!.ExitCode);

        Dictionary<string, JournalEntry> Reopened()
        {
            using ExitJournal second = Open("boot");
            return second.Recovered.ToDictionary(entry => entry.Id);
        }
    }

    [Fact]
    public void A_boot_since_is_noticed_and_a_slot_is_used_again()
    {
        using (ExitJournal journal = Open("first"))
        {
            for (int i = 0; i < 1000; i++)
            {
                journal.Reserve("a");
                journal.Start("a", null, i, 1);
                journal.Release("a");
            }

            journal.Reserve("last");
            journal.Start("last", null, 5, 1);
        }

        Assert.InRange(new FileInfo(Path.Combine(_directory, "exits")).Length, 1, 64 * 1024);
        using ExitJournal next = Open("second");
        Assert.True(next.IsFromEarlierBoot);
        Assert.Equal("last", Assert.Single(next.Recovered).Id);
    }

    [Fact]
    public void A_damaged_slot_is_dropped_and_a_foreign_file_is_refused()
    {
        using (ExitJournal journal = Open("boot"))
        {
            foreach (string id in (string[])["a", "b"])
            {
                journal.Reserve(id);
                journal.Start(id, null, 5, 1);
            }
        }

        string file = Path.Combine(_directory, "exits");
        byte[] bytes = File.ReadAllBytes(file);

        // The length of the first id, far beyond its slot.
        bytes[4096 + 1] = 0xFF;
        bytes[4096 + 2] = 0xFF;
        File.WriteAllBytes(file, bytes);
        using (ExitJournal journal = Open("boot"))
        {
            Assert.Equal("b", Assert.Single(journal.Recovered).Id);
        }

        bytes[0] ^= 0xFF;
        File.WriteAllBytes(file, bytes);
        Assert.Throws<InvalidDataException>(() => Open("boot"));
    }

    [Fact]
    public void A_process_that_took_over_the_pid_of_one_that_was_lost_is_left_alone()
    {
        // This very process: had it been killed, nobody would read the result.
        var entry = new JournalEntry("a", null, Environment.ProcessId, ProcessStartTime.Read(Environment.ProcessId) + 1, null);
        Assert.Equal(new ProcessExit("a", null, 255, 0, s_time), Orphans.Stop(entry, earlierBoot: false, new FixedTime(s_time)));
        entry = entry with { StartTime = entry.StartTime - 1 };
        Assert.Equal(255, Orphans.Stop(entry, earlierBoot: true, TimeProvider.System).ExitCode);
    }

    private ExitJournal Open(string bootId) => new(new HostPath(_directory), bootId, _loop);

    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
