using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Engine;
using Slipway.Engine.Builds;
using Slipway.Engine.Builds.History;
using Slipway.Oci;
using Slipway.Storage.Builds;
using Xunit;

namespace Slipway.Tests.Unit.Builds;

public sealed class BuildHistoryTests : IDisposable
{
    private static readonly HistoryLimits s_limits = new(Records: 4, TimeSpan.FromHours(1), Bytes: 60_000, LogBytes: 20_000);

    private readonly MemoryStore _store = new();
    private readonly SetClock _clock = new();
    private readonly BuildHistory _history;

    public BuildHistoryTests() => _history = Open();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _history.Dispose();
        _store.Dispose();
    }

    [Fact]
    public async Task What_is_refused_is_remembered_with_the_beginning_of_its_error()
    {
        await _history.RefuseAsync(Request("one", new() { ["A"] = "b" }), "refused: " + new string('x', 1 << 20));
        BuildRecord record = (await _history.FindAsync("one", Cancellation))!;
        Assert.Equal((BuildState.Error, true), (record.State, record.Completed is not null));
        Assert.StartsWith("refused: xxx", record.Error, StringComparison.Ordinal);
        Assert.InRange(record.Error.Length, 1000, 20_000);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("null")]
    public async Task A_record_that_cannot_be_read_is_removed_and_ends_nothing(string document)
    {
        await _history.RefuseAsync(Request("whole", []), "refused");
        await _history.RefuseAsync(Request("broken", []), "refused");
        _store.Rows["broken"] = _store.Rows["broken"] with { Document = Encoding.UTF8.GetBytes(document) };
        Warnings log = new();
        using BuildHistory again = Open(log);
        await again.RefuseAsync(Request("next", []), "refused");
        Assert.Equal(["next", "whole"], (await again.ListAsync(Cancellation)).Select(record => record.Reference).Order(StringComparer.Ordinal));
        Assert.DoesNotContain("broken", _store.Rows.Keys);
        Assert.Contains("build broken cannot be read", Assert.Single(log.Messages), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_build_told_is_told_again()
    {
        Told live = new();
        BuildRecorder recorder = await _history.BeginAsync(Request("one", new() { ["A"] = "b" }), live);
        await StepAsync(recorder, 1, 3, "COPY a b", cached: true);
        await StepAsync(recorder, 2, 3, "RUN make", output: "line\nrest");
        await recorder.StatusAsync(new BuildStatus(DigestOf(2), "half", 1, 2));
        await recorder.StatusAsync(new BuildStatus(DigestOf(2), "all", 2, 2) { Completed = _clock.GetUtcNow() });
        await recorder.WarningAsync(new BuildWarning(DigestOf(2), "careful", "Dockerfile", 2));
        Assert.Equal(BuildState.Running, (await _history.FindAsync("one", Cancellation))!.State);
        Digest image = Digest.Of("image"u8);
        await _history.EndAsync(recorder, BuildState.Completed, new BuildResult { ImageId = image, Metadata = new Dictionary<string, string> { ["image.name"] = "x" } }, "");

        // Another engine reads it from the disk.
        using BuildHistory again = Open();
        BuildRecord record = (await again.FindAsync("one", Cancellation))!;
        Assert.Equal((BuildState.Completed, "", 3, 2, 1, 1), (record.State, record.Error, record.TotalSteps, record.CompletedSteps, record.CachedSteps, record.Warnings));
        Assert.Equal((image.ToString(), "x", "b"), (record.Result["containerimage.config.digest"], record.Result["image.name"], record.Attributes["build-arg:A"]));
        Told replayed = new();
        await again.ReplayAsync("one", replayed, Cancellation);
        Assert.Equal(live.Lines.Where(line => line != "status half"), replayed.Lines);
        Assert.Contains("log line\nrest", replayed.Lines);
    }

    [Fact]
    public async Task One_that_runs_is_followed_to_its_end()
    {
        BuildRecorder recorder = await _history.BeginAsync(Request("one"), new Told());
        await StepAsync(recorder, 1, 2, "RUN a", output: "first");
        Told followed = new();
        Task following = _history.ReplayAsync("one", followed, Cancellation);
        await StepAsync(recorder, 2, 2, "RUN b", output: "second");
        Assert.False(following.IsCompleted);
        await _history.EndAsync(recorder, BuildState.Error, null, "exit code: 3");
        await following;
        Assert.Equal(["log first", "log second"], followed.Lines.Where(line => line.StartsWith("log", StringComparison.Ordinal)));
        Assert.Equal("exit code: 3", (await _history.FindAsync("one", Cancellation))!.Error);
    }

    [Fact]
    public async Task Number_and_age_are_bounded_and_what_is_pinned_stays()
    {
        for (int i = 0; i < 6; i++)
        {
            await BuildAsync($"b{i}");
            if (i == 0)
            {
                await _history.PinAsync("b0", isPinned: true, Cancellation);
            }

            _clock.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.Equal(["b5", "b4", "b3", "b0"], await References());
        Assert.Equal(4, _store.Logs);
        _clock.Advance(TimeSpan.FromMinutes(57.5));
        Assert.Equal(["b5", "b4", "b0"], await References());
        _clock.Advance(TimeSpan.FromHours(2));
        Assert.Equal(["b0"], await References());
        await _history.PinAsync("b0", isPinned: false, Cancellation);
        Assert.Empty(await References());
        Assert.Equal((0, 0), (_store.Logs, _store.Rows.Count));
    }

    [Fact]
    public async Task Output_and_all_logs_together_are_bounded()
    {
        for (int i = 0; i < 3; i++)
        {
            await BuildAsync($"b{i}", new string('x', 1000), times: 20);
            _clock.Advance(TimeSpan.FromMinutes(1));
        }

        Told told = new();
        await _history.ReplayAsync("b2", told, Cancellation);
        string[] output = [.. told.Lines.Where(line => line.StartsWith("log", StringComparison.Ordinal))];
        Assert.InRange(output.Sum(line => line.Length), 5_000, 20_000 * 3 / 4);
        Assert.StartsWith("log [output clipped", output[^1], StringComparison.Ordinal);
        Assert.Single(output, line => line.Contains("clipped", StringComparison.Ordinal));
        Assert.Equal(20, told.Lines.Count(line => line.StartsWith("vertex", StringComparison.Ordinal) && line.EndsWith("done", StringComparison.Ordinal)));

        Assert.True(_store.Rows.Values.Sum(row => row.LogBytes) <= s_limits.Bytes, "logs take too much");
        Assert.Equal(["b2", "b1"], await References());
    }

    [Fact]
    public async Task A_build_that_the_engine_did_not_outlive_is_an_error()
    {
        BuildRecorder killed = await _history.BeginAsync(Request("one"), new Told());
        await StepAsync(killed, 1, 2, "RUN a", output: "until here");
        using BuildHistory next = Open();
        BuildRecord record = Assert.Single(await next.ListAsync(Cancellation));
        Assert.Equal((BuildState.Error, "the engine ended while the build ran"), (record.State, record.Error));
        Told told = new();
        await next.ReplayAsync("one", told, Cancellation);
        Assert.Contains("log until here", told.Lines);
    }

    [Fact]
    public async Task A_damaged_end_of_a_log_is_passed_over()
    {
        await BuildAsync("one", "whole");
        _store.Append("one", "{\"Log\":{\"Vert");
        Told told = new();
        using BuildHistory next = Open();
        await next.ReplayAsync("one", told, Cancellation);
        Assert.Contains("log whole", told.Lines);
    }

    [Fact]
    public async Task What_cannot_be_done_is_told()
    {
        BuildRecorder running = await _history.BeginAsync(Request("one"), new Told());
        Assert.Equal(ErrorKind.Conflict, (await Assert.ThrowsAsync<EngineException>(() => _history.RemoveAsync("one", Cancellation))).Kind);
        Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<EngineException>(() => _history.RemoveAsync("two", Cancellation))).Kind);
        Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<EngineException>(() => _history.ReplayAsync("two", new Told(), Cancellation))).Kind);
        Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<EngineException>(() => _history.PinAsync("two", isPinned: true, Cancellation))).Kind);
        await _history.EndAsync(running, BuildState.Cancelled, null, "context canceled");
        await _history.RemoveAsync("one", Cancellation);
        Assert.Empty(await References());

        foreach (string name in new[] { "a", "b", "c" })
        {
            await BuildAsync(name);
        }

        await _history.PinAsync("a", isPinned: true, Cancellation);
        await _history.PinAsync("b", isPinned: true, Cancellation);
        Assert.Equal(ErrorKind.Conflict, (await Assert.ThrowsAsync<EngineException>(() => _history.PinAsync("c", isPinned: true, Cancellation))).Kind);
    }

    [Fact]
    public async Task Changes_are_told()
    {
        await using IAsyncEnumerator<BuildRecordChange> changes = _history.WatchAsync(Cancellation).GetAsyncEnumerator(Cancellation);
        ValueTask<bool> next = changes.MoveNextAsync();
        await BuildAsync("one");
        await _history.RemoveAsync("one", Cancellation);
        List<(RecordChange, BuildState)> seen = [];
        for (; seen.Count < 3 && await next; next = seen.Count < 3 ? changes.MoveNextAsync() : default)
        {
            seen.Add((changes.Current.Change, changes.Current.Record.State));
        }

        Assert.Equal([(RecordChange.Started, BuildState.Running), (RecordChange.Completed, BuildState.Completed), (RecordChange.Deleted, BuildState.Completed)], seen);
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("\e[2Jx")]
    [InlineData("")]
    public async Task A_reference_that_is_no_word_is_replaced(string reference)
    {
        await BuildAsync(reference);
        Assert.Matches("^[0-9a-f]{25}$", (await References())[0]);
    }

    [Fact]
    public async Task Passwords_are_not_remembered()
    {
        BuildRequest request = Request("one", new() { ["HTTPS_PROXY"] = "http://u:secret@p", ["B"] = new string('b', 5000), ["N"] = null }) with
        {
            Context = new RemoteContext("https://u:secret@host.example/x.git#ref"), Labels = new Dictionary<string, string> { ["l"] = "v" }, Target = "t", NoCache = true,
        };
        await _history.EndAsync(await _history.BeginAsync(request, new Told()), BuildState.Completed, new BuildResult(), "");
        BuildRecord record = (await _history.FindAsync("one", Cancellation))!;
        Assert.Equal(["build-arg:B", "context", "filename", "label:l", "no-cache", "target"], record.Attributes.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("https://host.example/x.git#ref", record.Attributes["context"]);
        Assert.Equal(1025, record.Attributes["build-arg:B"].Length);
        Assert.DoesNotContain("secret", Encoding.UTF8.GetString(_store.Rows["one"].Document), StringComparison.Ordinal);
    }

    private BuildHistory Open(IEngineLog? log = null) => new(_store, s_limits, _clock, log ?? new NoLog());

    private static BuildRequest Request(string reference, Dictionary<string, string?>? arguments = null) =>
        new() { Reference = reference, Dockerfile = new DockerfileFile("Dockerfile"), Arguments = arguments ?? [] };

    private async Task BuildAsync(string reference, string output = "output", int times = 1)
    {
        BuildRecorder recorder = await _history.BeginAsync(Request(reference), new Told());
        for (int i = 1; i <= times; i++)
        {
            await StepAsync(recorder, i, times, "RUN x", output: output);
        }

        await _history.EndAsync(recorder, BuildState.Completed, new BuildResult(), "");
    }

    private async Task<string[]> References() => [.. (await _history.ListAsync(Cancellation)).Select(record => record.Reference)];

    private static Digest DigestOf(int number) => Digest.Of(BitConverter.GetBytes(number));

    private async Task StepAsync(BuildRecorder recorder, int number, int count, string text, bool cached = false, string? output = null)
    {
        BuildVertex vertex = new(DigestOf(number), text, []) { Started = _clock.GetUtcNow(), Step = new BuildStep(number, count, text) };
        await recorder.VertexAsync(vertex);
        if (output is not null)
        {
            await recorder.LogAsync(new BuildLog(vertex.Digest, 1, _clock.GetUtcNow(), Encoding.UTF8.GetBytes(output)));
        }

        await recorder.VertexAsync(vertex with { Completed = _clock.GetUtcNow(), Cached = cached });
    }

    private sealed class SetClock : TimeProvider
    {
        private DateTimeOffset _now = DateTimeOffset.UnixEpoch.AddYears(50);

        public void Advance(TimeSpan time) => _now += time;

        public override DateTimeOffset GetUtcNow() => _now;
    }

    private sealed class NoLog : IEngineLog
    {
        public void Write(EngineLogLevel level, string message, Exception? exception) => Assert.Fail($"{message}: {exception}");
    }

    private sealed class Warnings : IEngineLog
    {
        public List<string> Messages { get; } = [];

        public void Write(EngineLogLevel level, string message, Exception? exception)
        {
            Assert.Equal(EngineLogLevel.Warning, level);
            Messages.Add(message);
        }
    }

    /// <summary>What was told, as lines to compare.</summary>
    private sealed class Told : IBuildProgress
    {
        public List<string> Lines { get; } = [];

        public ValueTask VertexAsync(BuildVertex vertex) => Add($"vertex {vertex.Digest} {vertex.Name} {vertex.Step} {(vertex.Completed is null ? "begins" : vertex.Cached ? "cached" : "done")}");

        public ValueTask LogAsync(BuildLog log) => Add($"log {Encoding.UTF8.GetString(log.Data.Span)}");

        public ValueTask StatusAsync(BuildStatus status) => Add($"status {status.Id}");

        public ValueTask WarningAsync(BuildWarning warning) => Add($"warning {warning}");

        private ValueTask Add(string line)
        {
            Lines.Add(line);
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>Rows in memory, logs in a temporary folder.</summary>
    private sealed class MemoryStore : IBuildHistoryStore, IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("slipway-test-").FullName;

        public Dictionary<string, BuildHistoryRow> Rows { get; } = [];

        public int Logs => Directory.GetFiles(_folder).Length;

        public void Append(string reference, string text)
        {
            File.AppendAllText(PathOf(reference), text);
            Rows[reference] = Rows[reference] with { LogBytes = new FileInfo(PathOf(reference)).Length };
        }

        public Task<IReadOnlyList<BuildHistoryRow>> OpenAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<BuildHistoryRow>>([.. Rows.Values.OrderBy(row => row.Started)]);

        public Task StoreAsync(BuildHistoryRow row, CancellationToken cancellationToken)
        {
            Rows[row.Reference] = row;
            return Task.CompletedTask;
        }

        public Task DeleteAsync(IReadOnlyCollection<string> references, CancellationToken cancellationToken)
        {
            foreach (string reference in references)
            {
                Rows.Remove(reference);
                File.Delete(PathOf(reference));
            }

            return Task.CompletedTask;
        }

        public Task<SafeFileHandle> CreateLogAsync(string reference) => Task.FromResult(File.OpenHandle(PathOf(reference), FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete));

        public Task<SafeFileHandle?> OpenLogAsync(string reference) =>
            Task.FromResult(File.Exists(PathOf(reference)) ? File.OpenHandle(PathOf(reference), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete) : null);

        public void Dispose() => Directory.Delete(_folder, recursive: true);

        private string PathOf(string reference) => Path.Combine(_folder, Convert.ToHexString(Encoding.UTF8.GetBytes(reference)));
    }
}
