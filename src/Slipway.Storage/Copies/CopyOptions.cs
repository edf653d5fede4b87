using Slipway.Kernel.Users;

namespace Slipway.Storage.Copies;

/// <param name="KeepKinds">A directory is not replaced by something else, nor something else by a directory.</param>
/// <param name="Owner">Whom everything belongs to, whatever the archive says; null: as the archive says.</param>
/// <param name="Maps">Of the user namespace that the tree belongs to: archives have its ids, the tree has those outside. Null: they are the same.</param>
public sealed record CopyOptions(bool KeepKinds, CopyOwner? Owner, IdMaps? Maps = null);

public sealed record CopyOwner(uint UserId, uint GroupId);
