using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Security;
using Slipway.Kernel.Users;
using Slipway.Storage;
using Slipway.Storage.State;
using Slipway.Storage.Volumes;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>What has a size: by project quotas where the file system has them (shown by tests/vm/engine-tests), here mostly without.</summary>
public sealed class SizedStorageTests
{
    private const uint Ours = 0x4000_0123;
    private static readonly string Container = new('d', 64);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Without_project_quotas_layers_and_volumes_of_a_size_are_in_files()
    {
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var root = temporary.Root;
        await root.Snapshots.EnsureSizedAsync([], Container, 8 << 20, Cancellation);
        await root.Snapshots.EnsureSizedAsync([], Container, 8 << 20, Cancellation);
        Assert.Equal(!root.HasProjectQuotas, File.Exists($"{temporary.Path}/containers/{Container}/disk.img"));
        using (var rootfs = new RootDirectory(root.Snapshots.MountRootfs([], Container, readOnly: false)))
        {
            Assert.Equal(0, rootfs.TryOpen("big"u8, OpenFlags.WriteOnly | OpenFlags.Create, out var file));
            using var big = file!;
            var full = Assert.ThrowsAny<IOException>(() => Descriptors.Write(big, new byte[32 << 20]));
            Assert.True(full is KernelException { Errno: Errno.ENOSPC or Errno.EDQUOT }, full.Message);
        }

        await root.Snapshots.RemoveAsync(Container);
        await root.Volumes.CreateAsync(new VolumeRow("v", DateTimeOffset.UnixEpoch, "{}"u8.ToArray()), 8 << 20, Cancellation);
        Assert.Equal(!root.HasProjectQuotas, root.Volumes.HasImage("v"));
        await root.Volumes.RemoveAsync("v", Cancellation);
        Assert.Empty(temporary.Contents());
        Assert.Equal(0, await CountAsync(temporary));
    }

    [Fact]
    public async Task A_layer_of_a_size_that_cannot_be_made_leaves_nothing()
    {
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var missing = Slipway.Oci.Digest.Of("no such layer"u8);
        var error = await Assert.ThrowsAsync<StorageException>(() => temporary.Root.Snapshots.EnsureSizedAsync([missing], Container, 8 << 20, Cancellation));
        Assert.Equal(StorageErrorKind.NotFound, error.Kind);
        Assert.Empty(temporary.Contents());
        Assert.Equal(0, await CountAsync(temporary));
    }

    [Fact]
    public async Task Numbers_that_no_directory_has_are_given_back_at_the_next_start()
    {
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        await temporary.CloseAsync();
        await using (var database = new StateDatabase($"{temporary.Path}/state.db", new DiskReserve(new HostPath(temporary.Path))))
        {
            await new ProjectTable(database).InsertAsync(Ours, Cancellation);
            Assert.Equal([Ours], await new ProjectTable(database).AllAsync(Cancellation));
        }

        await temporary.OpenAsync();
        Assert.Equal(0, await CountAsync(temporary));
    }

    [Fact]
    public async Task A_volume_that_was_to_be_bounded_and_is_not_is_refused()
    {
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        await temporary.Root.Volumes.CreateAsync(new VolumeRow("v", DateTimeOffset.UnixEpoch, "{}"u8.ToArray()), null, Cancellation);
        var error = Assert.Throws<StorageException>(() => temporary.Root.Volumes.HoldSize("v", 8 << 20));
        Assert.Contains("replaced its directory", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void File_systems_without_project_quotas_say_so()
    {
        using var proc = new HostPath("/proc").Open(OpenFlags.Directory);
        Assert.False(ProjectQuota.IsEnforced(proc));
        Assert.Equal(ProjectQuota.NoProject, ProjectQuota.Of(proc));
        Assert.Throws<KernelException>(() => ProjectQuota.SetLimit(proc, Ours, 1 << 20));
        Assert.Throws<KernelException>(() => ProjectQuota.Assign(proc, Ours));
    }

    [Fact]
    public async Task A_capability_that_a_thread_gave_up_stays_so_and_is_no_other_threads()
    {
        var mask = Capability.Mask(["CAP_CHOWN"]);
        var before = ThreadCapabilities.Effective;
        Assert.Equal(mask, before & mask);
        var file = Path.GetTempFileName();
        var seen = new TaskCompletionSource<(ulong Lowered, ulong Other, ulong After, Exception? Refused)>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            ThreadCapabilities.Lower(mask);
            var lowered = ThreadCapabilities.Effective;
            ulong other;
            using (FileSystemIdentity.Assume(1000, 1000))
            {
                other = ThreadCapabilities.Effective;
            }

            using var parent = new HostPath(Path.GetDirectoryName(file)!).Open(OpenFlags.Directory);
            var refused = Record.Exception(() => DirectoryEntry.ChangeOwner(parent, Path.GetFileName(file), 1000, 1000));
            seen.SetResult((lowered, other, ThreadCapabilities.Effective, refused));
        }).Start();
        var result = await seen.Task;
        File.Delete(file);
        Assert.Equal((before & ~mask, before & ~mask, before & ~mask), (result.Lowered, result.Other, result.After));
        Assert.Equal(Errno.EPERM, Assert.IsType<KernelException>(result.Refused).Errno);
        Assert.Equal(before, ThreadCapabilities.Effective);
    }

    private static async Task<long> CountAsync(TemporaryDataRoot temporary)
    {
        await using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={temporary.Path}/state.db;Pooling=false;Mode=ReadOnly");
        await connection.OpenAsync(Cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT count(*) FROM projects";
        return (long)(await command.ExecuteScalarAsync(Cancellation))!;
    }
}
