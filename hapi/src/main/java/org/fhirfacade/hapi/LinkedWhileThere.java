package org.fhirfacade.hapi;

import ca.uhn.fhir.interceptor.api.Hook;
import ca.uhn.fhir.interceptor.api.Interceptor;
import ca.uhn.fhir.interceptor.api.Pointcut;
import ca.uhn.fhir.interceptor.model.RequestPartitionId;
import ca.uhn.fhir.jpa.api.svc.IIdHelperService;
import ca.uhn.fhir.jpa.model.dao.JpaPid;
import jakarta.persistence.EntityManager;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.instance.model.api.IIdType;

/**
 * References that were written before their target are links to it from when it is created, and again to its address
 * when it is deleted: chains and includes go where something is. One that is written at the very moment its target is
 * created is found by its address alone, until it is written again.
 */
@Interceptor
public class LinkedWhileThere {

  private static final String LINK =
      "UPDATE ResourceLink link SET link.myTargetResourcePid = :pid, link.myTargetResourceUrl = NULL"
          + " WHERE link.myTargetResourceUrl = :address";
  private static final String UNLINK =
      "UPDATE ResourceLink link SET link.myTargetResourcePid = NULL, link.myTargetResourceUrl = :address"
          + " WHERE link.myTargetResourcePid = :pid";

  private final IIdHelperService<JpaPid> ids;
  private final EntityManager entities;
  private final boolean keepsTargets;

  LinkedWhileThere(IIdHelperService<JpaPid> ids, EntityManager entities, boolean keepsTargets) {
    this.ids = ids;
    this.entities = entities;
    this.keepsTargets = keepsTargets;
  }

  @Hook(Pointcut.STORAGE_PRECOMMIT_RESOURCE_CREATED)
  public void created(IBaseResource resource) {
    change(LINK, resource);
  }

  /** It may have been deleted before. */
  @Hook(Pointcut.STORAGE_PRECOMMIT_RESOURCE_UPDATED)
  public void updated(IBaseResource before, IBaseResource resource) {
    change(LINK, resource);
  }

  /** Before HAPI looks who refers to it: of those it would forget one. */
  @Hook(Pointcut.STORAGE_PRESTORAGE_RESOURCE_DELETED)
  public void deleted(IBaseResource resource) {
    if (!keepsTargets) {
      change(UNLINK, resource);
    }
  }

  private void change(String links, IBaseResource resource) {
    JpaPid pid = ids.getPidOrNull(RequestPartitionId.allPartitions(), resource);
    IIdType id = resource.getIdElement();
    entities.flush(); // the links name a row that has to be there
    entities
        .createQuery(links)
        .setParameter("pid", pid.getId())
        .setParameter("address", LinksByAddress.address(id.getResourceType(), id.getIdPart()))
        .executeUpdate();
  }
}
