namespace Slipway.Storage.Copies;

/// <param name="KeepKinds">A directory is not replaced by something else, nor something else by a directory.</param>
/// <param name="Owner">Whom everything belongs to, whatever the archive says; null: as the archive says.</param>
public sealed record CopyOptions(bool KeepKinds, CopyOwner? Owner);

public sealed record CopyOwner(uint UserId, uint GroupId);
