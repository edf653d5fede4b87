using System.Diagnostics;
using System.Globalization;
using Microsoft.Data.Sqlite;
using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Faults;

/// <summary>
/// Images come and go at random while the engine is killed again and again: what it says of the disk stays what the disk says, every image
/// that is listed is whole, and when all is removed nothing is left.
/// </summary>
public sealed class StoreChurnTests() : FaultTest("schurn")
{
    private const int Steps = 200;
    private const int Kills = 20;
    private const int MaxContainers = 6;
    private const int Published = 4;

    private readonly DebianRegistry _registry = new();
    private readonly int _seed = Environment.TickCount;
    private readonly List<byte[]> _layers = [];
    private readonly Dictionary<string, int> _done = [];

    [Fact]
    public async Task System_df_is_du_and_after_a_prune_nothing_is_left()
    {
        TestContext.Current.TestOutputHelper!.WriteLine($"seed {_seed}");
        var random = new Random(_seed);
        for (var i = 0; i < 10; i++)
        {
            var content = new byte[random.Next(1_000, 400_000)];
            random.NextBytes(content);

            // Layers of which some replace and remove what others bring.
            _layers.Add(Archive.Of(Archive.Folder("data/"), Archive.Bytes($"data/{i % 4}", content), i % 3 == 0 ? Archive.Text($"data/.wh.{(i + 1) % 4}", "") : Archive.Text($"own{i}", $"{i}")));
        }

        await _registry.InitializeAsync();
        await using var registry = _registry;
        for (var i = 0; i < Published; i++)
        {
            var image = Remote(i);
            (await Docker.RunWith(new MemoryStream(Archive.Image(image, [.. _layers.Skip(i).Take(3)])), "load")).Ok();
            (await Docker.Run("push", image)).Ok();
            (await Docker.Run("rmi", image)).Ok();
        }

        var kills = Enumerable.Range(0, Steps).OrderBy(_ => random.Next()).Take(Kills).ToHashSet();
        for (var step = 0; step < Steps; step++)
        {
            var (name, arguments, input) = await Choose(random, step);
            _done[name] = _done.GetValueOrDefault(name) + 1;
            var running = input is null ? Docker.Run(arguments) : Docker.RunWith(new MemoryStream(input), arguments);
            if (kills.Contains(step))
            {
                await Task.Delay(random.Next(120), Cancellation);
                await Engine.Kill();
                await running;
                await Engine.Start();
                await LedgerIsTheDisk();
            }
            else
            {
                await running;
            }
        }

        Assert.All(["load", "import", "pull", "commit", "tag", "rmi", "run", "rm"], name => Assert.True(_done.GetValueOrDefault(name) > 3, $"{name} was done {_done.GetValueOrDefault(name)} times"));
        await LedgerIsTheDisk();
        await EveryImageIsWhole();
        await NothingIsLeftAfterAPrune();
    }

    private async Task<(string Name, string[] Arguments, byte[]? Input)> Choose(Random random, int step)
    {
        var images = (await Docker.Run("images", "--format", "{{.Repository}}:{{.Tag}}")).Ok().Lines.Where(image => image != AlpineImage.Name && !image.Contains("<none>", StringComparison.Ordinal)).ToArray();
        var containers = (await Docker.Run("ps", "-aq")).Ok().Lines;
        var kind = random.Next(100);
        if (kind < 14)
        {
            return ("pull", ["pull", Remote(random.Next(Published))], null);
        }
        if (kind < 30)
        {
            var layers = Enumerable.Range(0, _layers.Count).OrderBy(_ => random.Next()).Take(random.Next(1, 5)).Select(i => _layers[i]).ToArray();
            return ("load", ["load"], Archive.Image($"load{step}:1", layers));
        }
        if (kind < 40)
        {
            return ("import", ["import", "-m", $"{step}", "-", $"import{step % 20}:1"], _layers[random.Next(_layers.Count)]);
        }
        if (kind < 52 && containers.Length < MaxContainers)
        {
            return ("run", ["run", "--name", $"run{step}", "-v", "/anonymous", "alpine", "sh", "-c", $"head -c {random.Next(300_000)} /dev/urandom > /f{step}; rm -f /etc/motd"], null);
        }
        if (kind < 66 && containers.Length > 0)
        {
            return ("commit", ["commit", containers[random.Next(containers.Length)], $"commit{step}:1"], null);
        }
        if (kind < 74 && images.Length > 0)
        {
            return ("tag", ["tag", images[random.Next(images.Length)], $"tag{step % 10}:1"], null);
        }
        if (kind < 82 && containers.Length > 0)
        {
            return ("rm", ["rm", "-f", containers[random.Next(containers.Length)]], null);
        }
        return images.Length > 0 ? ("rmi", ["rmi", images[random.Next(images.Length)]], null) : ("images", ["images"], null);
    }

    private string Remote(int number) => $"{_registry.Host}/churn/{number}:1";

    private async Task LedgerIsTheDisk()
    {
        using var http = new EngineHttp(Docker.Socket);
        var usage = (await http.Get("/v1.50/system/df")).Is(200).Json;
        var said = (long)usage["LayersSize"]! + usage["Containers"]!.AsArray().Sum(container => (long)container!["SizeRw"]!) + usage["Volumes"]!.AsArray().Sum(volume => (long)volume!["UsageData"]!["Size"]!);
        var du = await Du();
        Assert.InRange(said, du * 0.99, du * 1.01);
        Assert.Equal((long)(await http.Get("/slipway/disk")).Is(200).Json["Total"]!, said, du * 0.01);
    }

    private async Task<long> Du() =>
        long.Parse((await Programs.Run("du", ["-s", "-B1", Engine.DataRoot])).Output.Split('\t')[0], CultureInfo.InvariantCulture);

    private async Task EveryImageIsWhole()
    {
        var file = Path.Combine(Path.GetTempPath(), $"slipway-churn-{Environment.ProcessId}.tar");
        try
        {
            foreach (var image in (await Docker.Run("images", "-aq", "--no-trunc")).Ok().Lines.Distinct())
            {
                var id = await Docker.Ok("create", image, "/x");
                await Docker.Ok("export", "-o", file, id);
                await Docker.Ok("rm", id);
            }
        }
        finally
        {
            File.Delete(file);
        }
    }

    private async Task NothingIsLeftAfterAPrune()
    {
        if ((await Docker.Run("ps", "-aq")).Ok().Lines is { Length: > 0 } containers)
        {
            await Docker.Ok(["rm", "-f", .. containers]);
        }
        await Docker.Ok("system", "prune", "-a", "--volumes", "-f");
        await LedgerIsTheDisk();
        Assert.Empty((await Docker.Run("images", "-aq")).Ok().Lines);
        foreach (var folder in (string[])["blobs/sha256", "layers", "containers", "volumes"])
        {
            Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(Engine.DataRoot, folder)));
        }

        Assert.Empty(Harness.Engine.Unfinished(Engine.DataRoot));
        await using var database = new SqliteConnection($"Data Source={Path.Combine(Engine.DataRoot, "state.db")};Mode=ReadOnly;Pooling=False");
        await database.OpenAsync(Cancellation);
        var tables = await Column(database, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('events', 'key_values', 'networks')");
        Assert.Contains("layers", tables);
        Assert.Contains("images", tables);
        foreach (var table in tables)
        {
            Assert.Equal([$"{table}: 0"], await Column(database, $"SELECT '{table}: ' || count(*) FROM {table}"));
        }
    }

    private static async Task<List<string>> Column(SqliteConnection database, string query)
    {
        await using var command = database.CreateCommand();
#pragma warning disable CA2100 // The test's own words.
        command.CommandText = query;
#pragma warning restore CA2100
        await using var reader = await command.ExecuteReaderAsync(Cancellation);
        var values = new List<string>();
        while (await reader.ReadAsync(Cancellation))
        {
            values.Add(reader.GetString(0));
        }
        return values;
    }
}
