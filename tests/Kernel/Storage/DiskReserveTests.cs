using Slipway.Kernel.Files;
using Slipway.Storage;
using Slipway.Storage.State;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>What may use the reserve, and that it is made again.</summary>
public sealed class DiskReserveTests : IAsyncLifetime
{
    private readonly SmallDisk _disk = SmallDisk.Mount("32m");
    private StateDatabase _database = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Reserve => Path.Combine(_disk.Path, DiskReserve.Name);

    public ValueTask InitializeAsync()
    {
        _database = new StateDatabase(Path.Combine(_disk.Path, "state.db"), new DiskReserve(new HostPath(_disk.Path)));
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _database.DisposeAsync();
        await _disk.DisposeAsync();
    }

    [Fact]
    public async Task On_a_full_disk_a_removal_uses_it_and_an_addition_does_not()
    {
        await PutAsync("kept", new byte[100_000]);
        Fill();
        await Assert.ThrowsAsync<StorageException>(() => PutAsync("more", new byte[3 << 20]));
        Assert.Equal(DiskReserve.Bytes, new FileInfo(Reserve).Length);

        // Larger than what the log of the database has room for by chance.
        await _database.WriteAsync(
            connection => connection.Execute("UPDATE key_values SET value = $1 WHERE key = $2", new byte[600_000], "kept"), WritePurpose.GivesRoom, Cancellation);
        Assert.False(File.Exists(Reserve));
        Assert.Equal(1, await _database.WriteAsync(connection => connection.Execute("DELETE FROM key_values WHERE key = $1", "kept"), WritePurpose.GivesRoom, Cancellation));

        // Made again by the first write that finds room.
        File.Delete(Filler);
        await PutAsync("later", []);
        Assert.Equal(DiskReserve.Bytes, new FileInfo(Reserve).Length);
    }

    [Fact]
    public async Task A_reserve_that_is_used_up_is_told_as_a_full_disk()
    {
        await PutAsync("kept", new byte[100_000]);
        Fill();
        await Assert.ThrowsAsync<StorageException>(() => _database.WriteAsync(
            connection => connection.Execute("UPDATE key_values SET value = $1 WHERE key = $2", new byte[8 << 20], "kept"), WritePurpose.GivesRoom, Cancellation));
        Assert.False(File.Exists(Reserve));
    }

    private string Filler => Path.Combine(_disk.Path, "filler");

    private Task<int> PutAsync(string key, byte[] value) =>
        _database.WriteAsync(connection => connection.Execute("INSERT INTO key_values (key, value) VALUES ($1, $2)", key, value), Cancellation);

    private void Fill()
    {
        using var file = new FileStream(Filler, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
        foreach (var size in (int[])[1 << 20, 4096])
        {
            try
            {
                while (true)
                {
                    file.Write(new byte[size]);
                }
            }
            catch (IOException)
            {
                // Full, which is what was wanted.
            }
        }
    }
}
