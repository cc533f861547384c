package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.dao.data.ITagDefinitionDao;
import ca.uhn.fhir.jpa.model.entity.TagDefinition;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Objects;
import org.apache.commons.lang3.StringUtils;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.data.domain.Pageable;
import org.springframework.stereotype.Component;

/**
 * Keeps a tag, label or profile without a system, a version or a choice of the user as one without it.
 *
 * <p>HAPI alone looks for the first one of the same code that is known already, whatever it has of them, and keeps that
 * in its place.
 */
@Component
class TagsAsSent implements BeanPostProcessor {

  private static final String KNOWN = "findByTagTypeAndSchemeAndTermAndVersionAndUserSelected";

  @Override
  public Object postProcessAfterInitialization(Object bean, String name) {
    return bean instanceof ITagDefinitionDao known ? exact(known) : bean;
  }

  private static Object exact(ITagDefinitionDao known) {
    return Proxy.newProxyInstance(
        ITagDefinitionDao.class.getClassLoader(),
        known.getClass().getInterfaces(),
        (proxy, method, arguments) -> called(known, method, arguments));
  }

  /** Arguments: type, system, code, version, userSelected, how many. */
  private static Object called(ITagDefinitionDao known, Method method, Object[] arguments) throws Throwable {
    try {
      if (!method.getName().equals(KNOWN)) {
        return method.invoke(known, arguments);
      }
      Object[] all = arguments.clone();
      all[5] = Pageable.unpaged();
      List<?> found = (List<?>) method.invoke(known, all);
      return found.stream().filter(tag -> isSame((TagDefinition) tag, arguments)).limit(1).toList();
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  private static boolean isSame(TagDefinition tag, Object[] asked) {
    return same(tag.getSystem(), asked[1])
        && same(tag.getVersion(), asked[3])
        && Objects.equals(tag.getUserSelected(), asked[4]);
  }

  private static boolean same(String kept, Object asked) {
    return StringUtils.defaultString(kept).equals(Objects.toString(asked, ""));
  }
}
